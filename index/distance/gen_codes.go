//go:build ignore

package main

import (
	"fmt"
	"strings"
)

// codeLanes are the components that one register of an instruction set takes: bytes for VPDPBUSD, bytes widened to words for
// VPMADDWD. (VPMADDUBSW would take twice as many, but its sums of pairs saturate.)
func codeLanes(s isa) int {
	if s.lanes == 16 {
		return 64
	}
	return 16
}

// loadQuery loads components of the query.
func loadQuery(s isa, mem, dst string) {
	if s.lanes == 16 {
		o("\tVMOVDQU64 %s, %s", mem, dst)
	} else {
		o("\tVPMOVSXBW %s, %s", mem, dst)
	}
}

// addProducts adds the products of query x and the row at mem to acc.
func addProducts(s isa, mem, x, tmp, acc string) {
	if s.lanes == 16 {
		o("\tVMOVDQU64 %s, %s\n\tVPDPBUSD %s, %s, %s", mem, tmp, x, tmp, acc)
	} else {
		o("\tVPMOVZXBW %s, %s\n\tVPMADDWD %s, %s, %s\n\tVPADDD %s, %s, %s", mem, tmp, x, tmp, tmp, tmp, acc, acc)
	}
}

// codeTail adds the CX components behind offset R15, 0 < CX < lanes. AVX2, which cannot mask bytes, takes the last register
// of the row again, the query zero where it was taken already.
func codeTail(s isa, regs []string) {
	if s.lanes == 16 {
		o("\tVMOVDQU8.Z (DI)(R15*1), K1, Z8")
		for i, r := range regs {
			o("\tVMOVDQU8.Z (%s)(R15*1), K1, Z%d\n\tVPDPBUSD Z8, Z%d, Z%d", r, 10+i, 10+i, 4+i)
		}
		return
	}
	o("\tLEAQ ·lastBytes(SB), R15\n\tVMOVDQU (R15)(CX*1), X9\n\tLEAQ -16(R10), R15")
	o("\tVPAND (DI)(R15*1), X9, X9\n\tVPMOVSXBW X9, Y8")
	for i, r := range regs {
		addProducts(s, fmt.Sprintf("(%s)(R15*1)", r), "Y8", s.r(10+i), s.r(4+i))
	}
}

// codeRows writes the kernel of one int8 query against rows of codes. It goes through the rows as rows does, with the same
// registers.
func codeRows(s isa) {
	lanes := codeLanes(s)
	name := "codeRows" + s.tag
	comment(fmt.Sprintf(`
%s equals, bit for bit:
	prefetch(next[:48])
	for j, r := range rows[:n] {
		if int(r)*stride > limit {
			return false
		}
		row := arena[int(r)*stride:][:stride]
		sum := -shift
		for i := range dim {
			sum += int32(q[i]) * int32(row[i])
		}
		scale, bias := float32s(row[stride-8:])
		out[j] = float32(float32(scale*mul)*float32(sum)) + bias + add
	}
	return true`, name))
	sig := "q *int8, arena *byte, dim, stride, limit int, rows *uint32, n int, out *float32, next *uint32, shift int32, mul, add float32"
	g("//\n//go:noescape\nfunc %s(%s) (ok bool)\n", name, sig)
	o("//\n// func %s(%s) (ok bool)", name, sig)
	o("TEXT ·%s(SB), NOSPLIT|NOFRAME, $0-89", name)
	for i, a := range []string{"q DI", "arena SI", "dim R10", "stride R11", "", "rows DX", "n R9", "out R8", "next AX"} {
		if a != "" {
			f := strings.Fields(a)
			o("\tMOVQ %s+%d(FP), %s", f[0], 8*i, f[1])
		}
	}
	if lanes == 64 {
		o("\tMOVQ R10, CX\n\tANDQ $63, CX\n\tMOVQ $1, BX\n\tSHLQ CX, BX\n\tDECQ BX\n\tKMOVQ BX, K1")
	}
	o("\tTESTQ AX, AX\n\tJZ blocks\n\tPREFETCHT0 (AX)\n\tPREFETCHT0 64(AX)\n\tPREFETCHT0 128(AX)")
	o("blocks:\n\tMOVQ limit+32(FP), R12\n\tMOVQ $%d, R14\n\tCMPQ R9, R14\n\tCMOVQLT R9, R14", block)
	// The first lines of a row, and the one of its scale and bias.
	o("\tMOVQ $%d, R15\n\tCMPQ R11, R15\n\tCMOVQLT R11, R15\n\tXORQ BX, BX", 64*lines)
	o("check:\n\tMOVL (DX)(BX*4), AX\n\tIMULQ R11, AX\n\tCMPQ AX, R12\n\tJGT bad")
	o("\tADDQ SI, AX\n\tPREFETCHT0 -1(AX)(R11*1)\n\tLEAQ (AX)(R15*1), CX")
	o("fetch:\n\tPREFETCHT0 (AX)\n\tADDQ $64, AX\n\tCMPQ AX, CX\n\tJLT fetch")
	o("\tINCQ BX\n\tCMPQ BX, R14\n\tJLT check")
	o("\tSUBQ R14, R9")
	regs := []string{"AX", "BX", "R12", "R13"}
	o("group:\n\tMOVL (DX), AX\n\tIMULQ R11, AX\n\tADDQ SI, AX\n\tMOVQ AX, BX\n\tMOVQ AX, R12\n\tMOVQ AX, R13")
	for i, r := range regs[1:] {
		o("\tCMPQ R14, $%d\n\tJLT sums", i+2)
		o("\tMOVL %d(DX), %s\n\tIMULQ R11, %s\n\tADDQ SI, %s", 4*(i+1), r, r, r)
	}
	o("sums:")
	zero(s, 8)
	o("\tXORQ R15, R15\n\tMOVQ R10, CX\n\tSUBQ $%d, CX\n\tJL one", 2*lanes)
	o("two:")
	for half := range 2 {
		loadQuery(s, fmt.Sprintf("%d(DI)(R15*1)", half*lanes), s.r(8+half))
		for i, r := range regs {
			addProducts(s, fmt.Sprintf("%d(%s)(R15*1)", half*lanes, r), s.r(8+half), s.r(10+i), s.r(i+4*half))
		}
	}
	o("\tADDQ $%d, R15\n\tSUBQ $%d, CX\n\tJGE two", 2*lanes, 2*lanes)
	o("one:\n\tADDQ $%d, CX\n\tJL tail", lanes)
	loadQuery(s, "(DI)(R15*1)", s.r(8))
	for i, r := range regs {
		addProducts(s, fmt.Sprintf("(%s)(R15*1)", r), s.r(8), s.r(10+i), s.r(i))
	}
	o("\tADDQ $%d, R15\n\tSUBQ $%d, CX", lanes, lanes)
	o("tail:\n\tADDQ $%d, CX\n\tJZ reduce", lanes)
	codeTail(s, regs)
	o("reduce:")
	for i := range regs {
		o("\tVPADDD %s, %s, %s", s.r(4+i), s.r(i), s.r(i))
	}
	if s.lanes == 16 {
		for i := range regs {
			o("\tVEXTRACTI64X4 $1, Z%d, Y%d\n\tVPADDD Y%d, Y%d, Y%d", i, 4+i, 4+i, i, i)
		}
	}
	o("\tVPHADDD Y1, Y0, Y0\n\tVPHADDD Y3, Y2, Y2\n\tVPHADDD Y2, Y0, Y0\n\tVEXTRACTI128 $1, Y0, X1\n\tVPADDD X1, X0, X0")
	// Scales and biases of the four rows: pairs, then columns.
	o("\tVMOVSD -8(AX)(R11*1), X2\n\tVMOVHPS -8(BX)(R11*1), X2, X2\n\tVMOVSD -8(R12)(R11*1), X3\n\tVMOVHPS -8(R13)(R11*1), X3, X3")
	o("\tVSHUFPS $0x88, X3, X2, X4\n\tVSHUFPS $0xDD, X3, X2, X5")
	o("\tVBROADCASTSS shift+72(FP), X6\n\tVBROADCASTSS mul+76(FP), X7\n\tVBROADCASTSS add+80(FP), X8")
	o("\tVPSUBD X6, X0, X0\n\tVCVTDQ2PS X0, X0\n\tVMULPS X7, X4, X4\n\tVMULPS X4, X0, X0\n\tVADDPS X5, X0, X0\n\tVADDPS X8, X0, X0")
	o("\tSUBQ $4, R14\n\tJL last\n\tVMOVUPS X0, (R8)\n\tADDQ $16, R8\n\tADDQ $16, DX\n\tTESTQ R14, R14\n\tJNZ group")
	o("\tTESTQ R9, R9\n\tJNZ blocks\n\tJMP done")
	o("last:\n\tVMOVSS X0, (R8)\n\tCMPQ R14, $-2\n\tJLT done\n\tVEXTRACTPS $1, X0, 4(R8)\n\tJEQ done\n\tVEXTRACTPS $2, X0, 8(R8)")
	o("done:\n\tMOVB $1, ok+88(FP)\n\tVZEROUPPER\n\tRET")
	o("bad:\n\tMOVB $0, ok+88(FP)\n\tVZEROUPPER\n\tRET\n")
}
