//go:build ignore

package main

import (
	"fmt"
	"strings"
)

// The assembler of Go knows neither AVX512_BF16 nor AMX: their instructions are written as bytes, with the name in a comment.

// bf16Dots is AVX-512 with dot products of bf16.
var bf16Dots = isa{tag: "bf16", reg: "Z", lanes: 16, dots: true, tiles: []tiles{{1, 14, false}, {2, 14, false}}}

func bf16Kernels() {
	for _, t := range bf16Dots.tiles {
		tileTable(bf16Dots, t)
	}
	roundBF16()
	pairsBF16()
	transposeBF16()
	for rows := 1; rows <= 2; rows++ {
		for cols := 1; cols <= 2; cols++ {
			amx(rows, cols)
		}
	}
}

func bytesOf(comment string, b ...int) {
	var s []string
	for _, v := range b {
		s = append(s, fmt.Sprintf("BYTE $0x%02X", v))
	}
	o("\t%s // %s", strings.Join(s, "; "), comment)
}

// evex encodes an instruction of map 0F38 on registers of 512 bits, W0; pp is 2 for F3 and 3 for F2. Operands as in Intel's manual.
func evex(name string, pp, opcode, dst, src1, src2 int) {
	not := func(v, bit, shift int) int { return (^v >> bit & 1) << shift }
	p0 := not(dst, 3, 7) | not(src2, 4, 6) | not(src2, 3, 5) | not(dst, 4, 4) | 2
	p1 := (^src1&15)<<3 | 4 | pp
	p2 := 0x40 | not(src1, 4, 3)
	bytesOf(fmt.Sprintf("%s Z%d, Z%d, Z%d", name, dst, src1, src2), 0x62, p0, p1, p2, opcode, 0xC0|(dst&7)<<3|src2&7)
}

// dot adds to each dword of acc the products of the pairs of a and of b.
func dot(acc, a, b int) { evex("VDPBF16PS", 2, 0x52, acc, a, b) }

// round writes bf16 of src to the lower half of dst.
func round(dst, src int) { evex("VCVTNEPS2BF16", 2, 0x72, dst, 0, src) }

// round2 writes bf16 of lo to the lower half of dst and of hi to the upper half.
func round2(dst, hi, lo int) { evex("VCVTNE2PS2BF16", 3, 0x72, dst, hi, lo) }

// roundBF16: dst[i] = bf16(src[i])
func roundBF16() {
	g("//go:noescape\nfunc roundBF16(dst *uint16, src *float32, n int)\n")
	o("// func roundBF16(dst *uint16, src *float32, n int)")
	o("TEXT ·roundBF16(SB), NOSPLIT|NOFRAME, $0-24")
	o("\tMOVQ dst+0(FP), DI\n\tMOVQ src+8(FP), SI\n\tMOVQ n+16(FP), CX\n\tSUBQ $32, CX\n\tJL roundBF16_end")
	o("roundBF16_loop:\n\tVMOVUPS (SI), Z0\n\tVMOVUPS 64(SI), Z1")
	round2(2, 1, 0)
	o("\tVMOVDQU64 Z2, (DI)\n\tADDQ $128, SI\n\tADDQ $64, DI\n\tSUBQ $32, CX\n\tJGE roundBF16_loop")
	o("roundBF16_end:\n\tTESTQ $16, CX\n\tJZ roundBF16_done\n\tVMOVUPS (SI), Z0")
	round(2, 0)
	o("\tVMOVDQU Y2, (DI)")
	o("roundBF16_done:\n\tVZEROUPPER\n\tRET\n")
}

// interleave declares the index that makes pairs of the two halves of a register.
func interleave() {
	for i := range 8 {
		c := 2 * i
		o("DATA interleave<>+%d(SB)/8, $0x%04x%04x%04x%04x", 8*i, 17+c, c+1, 16+c, c)
	}
	o("GLOBL interleave<>(SB), RODATA|NOPTR, $64\n")
}

// pairsBF16: n times dst[j] = bf16(lo[j]) | bf16(hi[j])<<16 for 16 columns, then from bytes on in lo and hi, and to bytes in dst
func pairsBF16() {
	interleave()
	g("//go:noescape\nfunc pairsBF16(dst *uint32, lo, hi *float32, from, to, n int)\n")
	o("// func pairsBF16(dst *uint32, lo, hi *float32, from, to, n int)")
	o("TEXT ·pairsBF16(SB), NOSPLIT|NOFRAME, $0-48")
	o("\tMOVQ dst+0(FP), DI\n\tMOVQ lo+8(FP), SI\n\tMOVQ hi+16(FP), DX\n\tMOVQ from+24(FP), R8\n\tMOVQ to+32(FP), R9\n\tMOVQ n+40(FP), CX\n\tVMOVDQU64 interleave<>(SB), Z3")
	o("pairsBF16_loop:\n\tVMOVUPS (SI), Z0\n\tVMOVUPS (DX), Z1")
	round2(2, 1, 0)
	o("\tVPERMW Z2, Z3, Z2\n\tVMOVDQU64 Z2, (DI)\n\tADDQ R8, SI\n\tADDQ R8, DX\n\tADDQ R9, DI\n\tDECQ CX\n\tJNZ pairsBF16_loop\n\tVZEROUPPER\n\tRET\n")
}

// transposeBF16: dst[j][i] = bf16(src[i][j]) for i < n, n at most 32, and 16 j; rows are dstRow and srcRow bytes apart. Pairs of rows
// become dwords, and 16 × 16 dwords are transposed.
func transposeBF16() {
	g("//go:noescape\nfunc transposeBF16(dst *uint16, src *float32, dstRow, srcRow, n int)\n")
	o("// func transposeBF16(dst *uint16, src *float32, dstRow, srcRow, n int)")
	o("TEXT ·transposeBF16(SB), NOSPLIT|NOFRAME, $0-40")
	o("\tMOVQ dst+0(FP), DI\n\tMOVQ src+8(FP), SI\n\tMOVQ dstRow+16(FP), R8\n\tMOVQ srcRow+24(FP), R9\n\tMOVQ n+32(FP), CX\n\tXORQ R10, R10\n\tVMOVDQU64 interleave<>(SB), Z31")
	o("\tMOVQ $-1, AX\n\tSHLQ CX, AX\n\tNOTQ AX\n\tKMOVD AX, K1")
	load := func(step func(i int)) {
		for i := range 16 {
			if i > 0 {
				step(2 * i)
			}
			o("\tVMOVUPS (SI), Z16")
			step(2*i + 1)
			o("\tVMOVUPS (SI), Z17")
			round2(18, 17, 16)
			o("\tVPERMW Z18, Z31, Z%d", i)
		}
	}
	o("\tCMPQ CX, $32\n\tJLT transposeBF16_part")
	load(func(int) { o("\tADDQ R9, SI") })
	o("\tJMP transposeBF16_pairs\ntransposeBF16_part:")
	load(func(i int) { o("\tCMPQ CX, $%d\n\tCMOVQLE R10, R9\n\tADDQ R9, SI", i) }) // the last row again instead of one behind it
	o("transposeBF16_pairs:")
	for i := 0; i < 16; i += 2 { // dwords
		o("\tVUNPCKLPS Z%d, Z%d, Z%d\n\tVUNPCKHPS Z%d, Z%d, Z%d", i+1, i, 16+i, i+1, i, 17+i)
	}
	for i := 0; i < 16; i += 4 { // quadwords: register i+j holds dwords j, 4+j, 8+j and 12+j of rows i to i+3
		for j := range 2 {
			o("\tVUNPCKLPD Z%[1]d, Z%[2]d, Z%[3]d\n\tVUNPCKHPD Z%[1]d, Z%[2]d, Z%[4]d", 18+i+j, 16+i+j, i+2*j, i+2*j+1)
		}
	}
	for j := range 4 { // and 128 bits
		for half, imm := range []int{0x44, 0xEE} {
			o("\tVSHUFF32X4 $0x%X, Z%d, Z%d, Z%d", imm, 4+j, j, 16+4*j+half)
			o("\tVSHUFF32X4 $0x%X, Z%d, Z%d, Z%d", imm, 12+j, 8+j, 18+4*j+half)
		}
	}
	for i := range 16 {
		lane, j := i/4, i%4
		o("\tVSHUFF32X4 $0x%X, Z%d, Z%d, Z0", []int{0x88, 0xDD}[lane%2], 18+4*j+lane/2, 16+4*j+lane/2)
		o("\tVMOVDQU16 Z0, K1, (DI)\n\tADDQ R8, DI")
	}
	o("\tVZEROUPPER\n\tRET\n")
}

// Registers of AMX, by their number in an encoding.
var number = map[string]int{"BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9}

// tileMem encodes a load or store of an AMX tile with rows stride bytes apart.
func tileMem(name string, prefix, tmm int, base string, disp int, stride string) {
	b, s := number[base], number[stride]
	bytesOf(fmt.Sprintf("%s tmm%d, %d(%s)(%s*1)", name, tmm, disp, base, stride),
		0xC4, 0x80|(^s>>3&1)<<6|(^b>>3&1)<<5|2, prefix, 0x4B, 0x44|tmm<<3, (s&7)<<3|b&7, disp)
}

func tileLoad(tmm int, base string, disp int, stride string) {
	tileMem("TILELOADD", 0x7B, tmm, base, disp, stride)
}
func tileStore(tmm int, base string, disp int, stride string) {
	tileMem("TILESTORED", 0x7A, tmm, base, disp, stride)
}

func tileZero(tmm int) {
	bytesOf(fmt.Sprintf("TILEZERO tmm%d", tmm), 0xC4, 0xE2, 0x7B, 0x49, 0xC0|tmm<<3)
}

func tileDot(c, a, b int) {
	bytesOf(fmt.Sprintf("TDPBF16PS tmm%d, tmm%d, tmm%d", c, a, b), 0xC4, 0xE2, (^b&15)<<3|2, 0x5C, 0xC0|c<<3|a)
}

// amx computes blocks of rows tiles of up to 16 rows × cols tiles of 16 columns, as amxJob has it. No tile outlives the call.
func amx(rows, cols int) {
	n := fmt.Sprintf("amx%dx%d", rows, cols)
	g("//go:noescape\nfunc %s(t *tile, job *amxJob)\n", n)
	o("// func %s(t *tile, job *amxJob)", n)
	o("TEXT ·%s(SB), NOSPLIT|NOFRAME, $0-16", n)
	o("\tMOVQ t+0(FP), AX\n\tMOVQ job+8(FP), DX")
	bytesOf("LDTILECFG (DX)", 0xC4, 0xE2, 0x78, 0x49, 0x02)
	o("\tMOVQ tile_ars(AX), R8\n\tMOVQ tile_brs(AX), R9\n\tMOVQ R9, R14\n\tSHLQ $4, R14\n\tMOVQ tile_a(AX), R12\n\tMOVQ tile_c(AX), R13\n\tMOVQ amxJob_n(DX), R11\n\tMOVQ amxJob_half(DX), R10")
	acc := func(r, c int) int { return 2*r + c }
	eachC := func(do func(tmm int, base string, disp int, stride string)) { // C's rows are R9 apart meanwhile
		o("\tMOVQ tile_crs(AX), R9\n\tMOVQ R13, DI")
		for r := range rows {
			if r > 0 {
				o("\tADDQ amxJob_chalf(DX), DI")
			}
			for c := range cols {
				do(acc(r, c), "DI", 64*c, "R9")
			}
		}
		o("\tMOVQ tile_brs(AX), R9")
	}
	o("%s_block:\n\tMOVQ R12, SI\n\tMOVQ tile_b(AX), BX\n\tMOVQ tile_segs(AX), R15\n\tTESTQ $const_tileAdd, tile_flags(AX)\n\tJZ %s_zero", n, n)
	eachC(tileLoad)
	o("\tJMP %s_seg\n%s_zero:", n, n)
	for r := range rows {
		for c := range cols {
			tileZero(acc(r, c))
		}
	}
	o("%s_seg:\n\tMOVQ tile_kc(AX), CX\n\tSHRQ $4, CX", n)
	o("%s_k:", n)
	for c := range cols {
		tileLoad(6+c, "BX", 64*c, "R9")
	}
	for r := range rows {
		base := "SI"
		if r > 0 {
			base = "DI"
			o("\tLEAQ (SI)(R10*1), DI")
		}
		tileLoad(4+r, base, 0, "R8")
		for c := range cols {
			tileDot(acc(r, c), 4+r, 6+c)
		}
	}
	o("\tADDQ $64, SI\n\tADDQ R14, BX\n\tDECQ CX\n\tJNZ %s_k", n)
	o("\tADDQ tile_aseg(AX), SI\n\tADDQ tile_bseg(AX), BX\n\tDECQ R15\n\tJNZ %s_seg", n)
	eachC(tileStore)
	o("\tADDQ amxJob_astep(DX), R12\n\tADDQ amxJob_cstep(DX), R13\n\tDECQ R11\n\tJNZ %s_block", n)
	bytesOf("TILERELEASE", 0xC4, 0xE2, 0x78, 0x49, 0xC0)
	o("\tRET\n")
}
