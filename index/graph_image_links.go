package index

import (
	"context"
	"fmt"
	"io"
)

// linksAtOnce is of how many slots packed links are written and read at once.
const linksAtOnce = 1 << 12

// writeLinks writes layer 0 as it lies in memory where links are not packed.
func (g *graph) writeLinks(w io.Writer) error {
	if g.packed == nil {
		return writeAll(w, bytesOf(g.links))
	}
	n := g.room(0) + 1
	lists := make([]uint32, linksAtOnce*n)
	for first := 0; first < len(g.state); first += linksAtOnce {
		clear(lists)
		count := min(linksAtOnce, len(g.state)-first)
		for i := range count {
			list := lists[i*n : (i+1)*n]
			list[0] = uint32(len(g.packed.list(uint32(first+i), list[1:])))
		}
		if err := writeAll(w, bytesOf(lists[:count*n])); err != nil {
			return err
		}
	}
	return nil
}

// readLinks reads layer 0. What packed lists hold can be read at least: checkLinks looks at the others.
func (g *graph) readLinks(ctx context.Context, from *sumReader) error {
	slots, n := len(g.state), g.room(0)+1
	if g.packed == nil {
		g.links = newArena[uint32](slots * n)[:slots*n]
		return from.read(ctx, bytesOf(g.links))
	}
	g.packed.at = make([]uint32, slots)
	lists := make([]uint32, linksAtOnce*n)
	for first := 0; first < slots; first += linksAtOnce {
		count := min(linksAtOnce, slots-first)
		if err := from.read(ctx, bytesOf(lists[:count*n])); err != nil {
			return err
		}
		for i := range count {
			list := lists[i*n : (i+1)*n]
			if int(list[0]) >= n {
				return fmt.Errorf("image: slot %d has %d neighbours: %w", first+i, list[0], ErrCorrupt)
			}
			g.packed.set(uint32(first+i), list[1:1+list[0]])
		}
	}
	return nil
}
