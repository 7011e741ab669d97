package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// dataFound says what texts, sounds, pictures or rows a data set has: those of its items that are held in memory.
func dataFound(d train.Dataset) string {
	if first, err := d.Item(0); err == nil && encoder.IsRow(first) {
		text, err := train.DescribeTable(d)
		if err == nil {
			return text
		}
	}
	if !slices.ContainsFunc(d.Raw, func(raw []byte) bool { return raw == nil || !encoder.IsText(raw) }) {
		return textsFound(d)
	}
	if held := slices.IndexFunc(d.Raw, func(raw []byte) bool { return raw == nil }); held >= 0 {
		return fmt.Sprintf("%d files, more than memory is to hold; the first %d are %s", d.Len(), held, foundIn(d.Raw[:held]))
	}
	return foundIn(d.Raw)
}

func foundIn(items [][]byte) string {
	count, sounds := map[string]int{}, 0
	for _, raw := range items {
		if name := encoder.SoundFormat(raw); name != "" {
			count[name]++
			sounds++
		}
	}
	if sounds == 0 {
		return pictures(items)
	}
	text := fmt.Sprintf("%d sounds (%s)", sounds, counts(count))
	if sounds < len(items) {
		text += "; " + pictures(items)
	}
	return text
}

// counts lists names with their numbers.
func counts(of map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(list, ", ")
}

// pictures says what pictures there are: formats, sizes and colours, by their headers.
func pictures(items [][]byte) string {
	count := map[string]int{}
	var least, most encoder.Size
	grey, probed := 0, 0
	for _, raw := range items {
		s, err := encoder.Probe(raw)
		if err != nil {
			continue // training says why it leaves it out
		}
		count[encoder.Format(raw)]++
		if probed++; probed == 1 {
			least, most = s, s
		}
		least.Height, least.Width = min(least.Height, s.Height), min(least.Width, s.Width)
		most.Height, most.Width = max(most.Height, s.Height), max(most.Width, s.Width)
		if s.Channels == 1 {
			grey++
		}
	}
	if probed == 0 {
		return fmt.Sprintf("%d items, none of them a picture", len(items))
	}
	size := fmt.Sprintf("%d×%d", least.Width, least.Height)
	if least != most {
		size = fmt.Sprintf("%d to %d pixels wide and %d to %d high", least.Width, most.Width, least.Height, most.Height)
	}
	colours := fmt.Sprintf("%d in grey", grey)
	switch grey {
	case 0:
		colours = "in colour"
	case probed:
		colours = "grey"
	}
	return fmt.Sprintf("%d pictures (%s), %s, %s", probed, counts(count), size, colours)
}
