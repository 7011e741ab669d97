package index

// The lists of layers 1, 2, … lie in one arena, a block a slot that has some: one slot in M.
//
//	upperAt   slot ──► place of its block, 0 for none
//	upper     [0][level| n a b … | n c d …][level| n e … ]…      (M+1) words a layer
//
// A pointer a slot would take six times the memory, and the garbage collector would follow each. Blocks of slots that are free
// again wait for slots of the same level.

// blockWords is the length of a slot's block.
func (g *graph) blockWords(level int) int {
	if level == 0 {
		return 0
	}
	return 1 + level*(g.opt.M+1)
}

// growUpper makes room for so many words more. Searches go on in the old arena meanwhile. The writer only.
func (g *graph) growUpper(words int) {
	need := len(g.upper) + words
	if need <= cap(g.upper) {
		return
	}
	upper := append(newArena[uint32](max(need, len(g.upper)+len(g.upper)/2)), g.upper...)
	g.mu.Lock()
	g.upper = upper
	g.mu.Unlock()
}

// takeBlock returns the place of a block with empty lists. The caller holds mu exclusively and has called growUpper.
func (g *graph) takeBlock(level int) uint32 {
	if level == 0 {
		return 0
	}
	at, words := uint32(len(g.upper)), g.blockWords(level)
	if free := g.freeUpper[level]; len(free) > 0 {
		at, g.freeUpper[level] = free[len(free)-1], free[:len(free)-1]
	} else {
		g.upper = g.upper[:len(g.upper)+words]
	}
	block := g.upper[at:][:words]
	clear(block)
	block[0] = uint32(level)
	return at
}

// dropBlock takes the block of a slot away. The caller holds mu exclusively.
func (g *graph) dropBlock(slot uint32) {
	if level := g.level(slot); level > 0 {
		g.freeUpper[level] = append(g.freeUpper[level], g.upperAt[slot])
		g.upperAt[slot] = 0
	}
}

// lists returns all upper lists of a slot, one after the other.
func (g *graph) lists(slot uint32) []uint32 {
	at := int(g.upperAt[slot])
	return g.upper[at+1:][:g.level(slot)*(g.opt.M+1)]
}

// level returns the highest layer that a slot is in.
func (g *graph) level(slot uint32) int { return int(g.upper[g.upperAt[slot]]) }
