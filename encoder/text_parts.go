package encoder

// maxParts is how many parts of a text are embedded, at most.
const maxParts = 16

// Words returns how many words the features of a text have.
func (p Preprocessing) Words(f Features) int { return int(f.Data[len(f.Data)-1]) + 1 }

// Part writes the entries of a text that are of words from first on alone to dst, Size values, as many as it holds, and returns the first word that
// is not whole in it. What follows the last entry is 0.
func (p Preprocessing) Part(dst []float32, f Features, first int) (next int) {
	return p.partWithout(dst, f, first, nil)
}

// partWithout is Part that leaves out the entries that drop names, nil for none.
func (p Preprocessing) partWithout(dst []float32, f Features, first int, drop func(entry []float32) bool) (next int) {
	n, words := 0, p.Words(f)
	for at := 0; at < len(f.Data); {
		last := f.Data[at+3]
		end := at // of the entries whose last word this is
		for end < len(f.Data) && f.Data[end+3] == last {
			end += TextFields
		}
		if int(last) >= first {
			begin := n
			for ; at < end; at += TextFields {
				e := f.Data[at : at+TextFields]
				if int(e[2]) < first || drop != nil && drop(e) {
					continue
				}
				if n == len(dst) {
					if int(last) == first { // a word longer than all there is room for
						return first + 1
					}
					clear(dst[begin:])
					return int(last)
				}
				n += copy(dst[n:], e)
			}
		}
		at = end
	}
	clear(dst[n:])
	return words
}

// LastPart returns the last word from which on a part fills the network's input, or 0.
func (p Preprocessing) LastPart(f Features) int {
	if len(f.Data) <= p.Size.values() {
		return 0
	}
	return int(f.Data[len(f.Data)-p.Size.values()+3])
}

// View is Part for training: without the entries that drop names, but for the first where all would be.
func (p Preprocessing) View(dst []float32, f Features, first int, drop func(entry []float32) bool) {
	p.partWithout(dst, f, first, drop)
	if dst[1] == 0 {
		p.Part(dst, f, first)
	}
}

// textParts returns what of a text is embedded: all of it, or parts one behind the other where it has more entries than the network's input, or
// maxParts of these spread over it.
func (p Preprocessing) textParts(f Features) []Features {
	if len(f.Data) <= p.Size.values() {
		return []Features{f}
	}
	var starts []int
	scratch := make([]float32, p.Size.values())
	for at, words := 0, p.Words(f); at < words; {
		starts = append(starts, at)
		at = p.Part(scratch, f, at)
	}
	n := min(maxParts, len(starts))
	out := make([]Features, n)
	for i := range out {
		at := 0
		if n > 1 {
			at = i * (len(starts) - 1) / (n - 1)
		}
		out[i] = Features{Data: make([]float32, p.Size.values()), Shape: []int{1, p.Size.Width, TextFields}}
		p.Part(out[i].Data, f, starts[at])
	}
	return out
}
