//go:build ignore

package main

import "fmt"

// scanUnroll is how many registers of table entries are added up as bytes before they are widened: 4·63 fits a byte.
const scanUnroll = 4

// scan writes the kernel that scores 32 packed neighbours at once (FastScan: André et al., VLDB 2015).
//
//	DI words   R10 registers of codes   SI lut   R8 out
//	r0 r1 sums of even and odd bytes, first 16 codes   r2 r3 the same, last 16   r4 0x0F…   r5 0x00FF…
func scan(s isa) {
	name := "scan" + s.tag
	comment(fmt.Sprintf(`
%s equals:

	var sums [32]uint16
	for g := range %d * n {
		for j := range 32 {
			sums[j] += uint16(lut[16*g+int(nibble(codes, g, j))])
		}
	}
	for j, sum := range sums {
		out[j] = at.Base + factors[j] + factors[32+j]*(at.Scale*float32(sum)+at.Shift) // fused multiply-adds
		if out[j] < at.Limit {
			mask |= 1 << j
		}
	}`, name, s.lanes/4))
	sig := "record *uint32, n int, lut *byte, at *Scale, out *float32"
	g("//\n//go:noescape\nfunc %s(%s) (mask uint32)\n", name, sig)
	o("//\n// func %s(%s) (mask uint32)", name, sig)
	o("TEXT ·%s(SB), NOSPLIT|NOFRAME, $0-44", name)
	o("\tMOVQ record+0(FP), DI\n\tMOVQ n+8(FP), R10\n\tMOVQ lut+16(FP), SI\n\tMOVQ at+24(FP), AX\n\tMOVQ out+32(FP), R8")
	o("\tMOVQ DI, DX\n\tADDQ $256, DI")
	o("\tMOVL $0x0F0F0F0F, CX\n\tVMOVD CX, X4\n\tVPBROADCASTD X4, %s", s.r(4))
	o("\tMOVL $0x00FF00FF, CX\n\tVMOVD CX, X5\n\tVPBROADCASTD X5, %s", s.r(5))
	and, move := "VPAND", "VMOVDQU"
	if s.lanes == 16 {
		and, move = "VPANDD", "VMOVDQU32"
	}
	zero(s, 4)
	step := func(i int, low, high string) {
		o("\t%s %d(DI), %s\n\t%s %d(SI), %s", move, i*s.bytes(), s.r(10), move, i*s.bytes(), s.r(11))
		o("\t%s %s, %s, %s\n\tVPSRLW $4, %s, %s\n\t%s %s, %s, %s", and, s.r(4), s.r(10), s.r(12), s.r(10), s.r(10), and, s.r(4), s.r(10), s.r(10))
		o("\tVPSHUFB %s, %s, %s\n\tVPSHUFB %s, %s, %s", s.r(12), s.r(11), low, s.r(10), s.r(11), high)
	}
	widen := func() {
		for i, r := range []string{s.r(6), s.r(7)} {
			o("\t%s %s, %s, %s\n\tVPADDW %s, %s, %s", and, s.r(5), r, s.r(12), s.r(12), s.r(2*i), s.r(2*i))
			o("\tVPSRLW $8, %s, %s\n\tVPADDW %s, %s, %s", r, r, r, s.r(2*i+1), s.r(2*i+1))
		}
	}
	o("\tSUBQ $%d, R10\n\tJL rest", scanUnroll)
	o("four:")
	step(0, s.r(6), s.r(7))
	for i := range scanUnroll - 1 {
		step(i+1, s.r(8), s.r(9))
		o("\tVPADDB %s, %s, %s\n\tVPADDB %s, %s, %s", s.r(8), s.r(6), s.r(6), s.r(9), s.r(7), s.r(7))
	}
	widen()
	o("\tADDQ $%d, DI\n\tADDQ $%d, SI\n\tSUBQ $%d, R10\n\tJGE four", scanUnroll*s.bytes(), scanUnroll*s.bytes(), scanUnroll)
	o("rest:\n\tADDQ $%d, R10\n\tJZ sums", scanUnroll)
	o("one:")
	step(0, s.r(6), s.r(7))
	widen()
	o("\tADDQ $%d, DI\n\tADDQ $%d, SI\n\tDECQ R10\n\tJNZ one", s.bytes(), s.bytes())
	o("sums:")
	if s.lanes == 16 {
		for i := range 4 {
			o("\tVEXTRACTI64X4 $1, Z%d, Y6\n\tVPADDW Y6, Y%d, Y%d", i, i, i)
		}
	}
	for i := range 4 {
		o("\tVEXTRACTI128 $1, Y%d, X6\n\tVPADDW X6, X%d, X%d", i, i, i)
	}
	// Even and odd bytes become words in the order of the codes.
	for i := range 2 {
		o("\tVPUNPCKLWD X%d, X%d, X6\n\tVPUNPCKHWD X%d, X%d, X7", 2*i+1, 2*i, 2*i+1, 2*i)
		o("\tVINSERTI128 $1, X7, Y6, Y%d", 8+i)
	}
	for i, b := range []int{8, 12, 0, 4} { // Base, Limit, Scale, Shift
		o("\tVBROADCASTSS %d(AX), %s", b, s.r(i))
	}
	parts := 32 / s.lanes
	if s.lanes == 16 {
		o("\tVPMOVZXWD Y8, Z4\n\tVPMOVZXWD Y9, Z5")
	} else {
		o("\tVPMOVZXWD X8, Y4\n\tVEXTRACTI128 $1, Y8, X8\n\tVPMOVZXWD X8, Y5\n\tVPMOVZXWD X9, Y6\n\tVEXTRACTI128 $1, Y9, X9\n\tVPMOVZXWD X9, Y7")
	}
	o("\tXORL BX, BX")
	for i := range parts {
		r := s.r(4 + i)
		o("\tVCVTDQ2PS %s, %s\n\tVFMADD132PS %s, %s, %s", r, r, s.r(2), s.r(3), r) // sum·Scale + Shift
		o("\tVADDPS %d(DX), %s, %s", i*s.bytes(), s.r(0), s.r(10))
		o("\tVFMADD132PS %d(DX), %s, %s\n\tVMOVUPS %s, %d(R8)", 128+i*s.bytes(), s.r(10), r, r, i*s.bytes())
		if s.lanes == 16 {
			o("\tVCMPPS $1, Z1, %s, K1\n\tKMOVW K1, CX", r)
		} else {
			o("\tVCMPPS $1, Y1, %s, Y10\n\tVMOVMSKPS Y10, CX", r)
		}
		o("\tSHLL $%d, CX\n\tORL CX, BX", i*s.lanes)
	}
	o("\tMOVL BX, mask+40(FP)\n\tVZEROUPPER\n\tRET\n")
}

// table writes the kernels that fill the lookup tables of a scan. Two groups of four components fit a register.
//
//	DI q   CX groups left   Y4 all but the signs   Y5 Y6 Y7 signs of the components 0, 1, 2 in entries 0…7
func table() {
	o("// The signs of components 0, 1, 2 in entries 0…7 of a table.")
	for j := range 3 {
		for n := range 8 {
			o("DATA ·entrySigns+%d(SB)/4, $0x%08x", 32*j+4*n, uint32(1-n>>j&1)<<31)
		}
	}
	o("GLOBL ·entrySigns(SB), RODATA|NOPTR, $96\n")
	comment(`
tableSums equals, up to the order of the sums:

	for g := range n {
		sum := |q[4*g]| + |q[4*g+1]| + |q[4*g+2]| + |q[4*g+3]|
		largest, total = max(largest, sum), total+sum // from 0
	}`)
	sig := "q *float32, n int) (largest, total float32)"
	g("//\n//go:noescape\nfunc tableSums(%s\n", sig)
	o("//\n// func tableSums(%s\nTEXT ·tableSums(SB), NOSPLIT|NOFRAME, $0-24", sig)
	o("\tMOVQ q+0(FP), DI\n\tMOVQ n+8(FP), CX\n\tVXORPS Y0, Y0, Y0\n\tVXORPS Y1, Y1, Y1\n\tVPCMPEQD Y4, Y4, Y4\n\tVPSRLD $1, Y4, Y4")
	o("two:\n\tVANDPS (DI), Y4, Y2\n\tVPERMILPS $0xB1, Y2, Y3\n\tVADDPS Y3, Y2, Y2\n\tVPERMILPS $0x4E, Y2, Y3\n\tVADDPS Y3, Y2, Y2")
	o("\tVMAXPS Y2, Y0, Y0\n\tVADDPS Y2, Y1, Y1\n\tADDQ $32, DI\n\tSUBQ $2, CX\n\tJG two")
	o("\tVEXTRACTF128 $1, Y0, X2\n\tVMAXPS X2, X0, X0\n\tVMOVSS X0, largest+16(FP)")
	o("\tVEXTRACTF128 $1, Y1, X2\n\tVADDPS X2, X1, X1\n\tVMOVSS X1, total+20(FP)\n\tVZEROUPPER\n\tRET\n")

	comment(`
tableEntries equals, up to the order of the sums:

	for g := range n {
		for e := range 16 {
			sum := |q[4*g]| + |q[4*g+1]| + |q[4*g+2]| + |q[4*g+3]|
			for j, x := range q[4*g:4*g+4] {
				sum += x * (2*(e>>j&1) - 1)
			}
			lut[16*g+e] = byte(inverse*sum + 0.5)
		}
	}`)
	sig = "q *float32, n int, inverse float32, lut *byte"
	g("//\n//go:noescape\nfunc tableEntries(%s)\n", sig)
	o("//\n// func tableEntries(%s)\nTEXT ·tableEntries(SB), NOSPLIT|NOFRAME, $0-32", sig)
	o("\tMOVQ q+0(FP), DI\n\tMOVQ n+8(FP), CX\n\tVBROADCASTSS inverse+16(FP), Y8\n\tMOVQ lut+24(FP), SI")
	o("\tMOVL $0x3f000000, AX\n\tVMOVD AX, X9\n\tVBROADCASTSS X9, Y9\n\tVPCMPEQD Y4, Y4, Y4\n\tVPSRLD $1, Y4, Y4")
	for j := range 3 {
		o("\tVMOVUPS ·entrySigns+%d(SB), Y%d", 32*j, 5+j)
	}
	o("group:\n\tVBROADCASTF128 (DI), Y0")
	o("\tVANDPS Y4, Y0, Y1\n\tVPERMILPS $0xB1, Y1, Y2\n\tVADDPS Y2, Y1, Y1\n\tVPERMILPS $0x4E, Y1, Y2\n\tVADDPS Y2, Y1, Y1")
	for j := range 3 {
		o("\tVPERMILPS $0x%02x, Y0, Y2\n\tVXORPS Y%d, Y2, Y2\n\tVADDPS Y2, Y1, Y1", 0x55*j, 5+j)
	}
	o("\tVPERMILPS $0xFF, Y0, Y2\n\tVSUBPS Y2, Y1, Y0\n\tVADDPS Y2, Y1, Y1")
	for i := range 2 {
		o("\tVFMADD213PS Y9, Y8, Y%d\n\tVCVTTPS2DQ Y%d, Y%d", i, i, i)
	}
	// Entries 0…3 8…11 4…7 12…15, as words; the halves trade places.
	o("\tVPACKUSDW Y1, Y0, Y0\n\tVEXTRACTI128 $1, Y0, X1\n\tVPUNPCKLQDQ X1, X0, X2\n\tVPUNPCKHQDQ X1, X0, X3\n\tVPACKUSWB X3, X2, X2")
	o("\tVMOVDQU X2, (SI)\n\tADDQ $16, DI\n\tADDQ $16, SI\n\tDECQ CX\n\tJNZ group\n\tVZEROUPPER\n\tRET\n")
}

// hadamard writes the kernel of the Walsh–Hadamard transform of blocks of 64: eight registers stay in place for all six steps.
func hadamard() {
	o("// The signs of the second of two, of the second pair of four, of the second half of eight.")
	for j := range 3 {
		for n := range 8 {
			o("DATA ·secondSigns+%d(SB)/4, $0x%08x", 32*j+4*n, uint32(n>>j&1)<<31)
		}
	}
	o("GLOBL ·secondSigns(SB), RODATA|NOPTR, $96\n")
	comment(`
hadamard64 equals:

	for range n {
		for h := 1; h < 64; h *= 2 {
			for i := range 64 {
				if i&h == 0 {
					x[i], x[i+h] = x[i]+x[i+h], x[i]-x[i+h]
				}
			}
		}
		x = x[64:]
	}`)
	g("//\n//go:noescape\nfunc hadamard64(x *float32, n int)\n")
	o("//\n// func hadamard64(x *float32, n int)\nTEXT ·hadamard64(SB), NOSPLIT|NOFRAME, $0-16")
	o("\tMOVQ x+0(FP), DI\n\tMOVQ n+8(FP), CX")
	for j := range 3 {
		o("\tVMOVUPS ·secondSigns+%d(SB), Y%d", 32*j, 13+j)
	}
	o("block:")
	for i := range 8 {
		o("\tVMOVUPS %d(DI), Y%d", 32*i, i)
	}
	for j, swap := range []string{"VPERMILPS $0xB1, Y%[1]d, Y8", "VPERMILPS $0x4E, Y%[1]d, Y8", "VPERM2F128 $0x01, Y%[1]d, Y%[1]d, Y8"} {
		for i := range 8 {
			o("\t"+swap+"\n\tVXORPS Y%[2]d, Y%[1]d, Y%[1]d\n\tVADDPS Y8, Y%[1]d, Y%[1]d", i, 13+j)
		}
	}
	for h := 1; h < 8; h *= 2 {
		for i := range 8 {
			if i&h == 0 {
				o("\tVSUBPS Y%[2]d, Y%[1]d, Y8\n\tVADDPS Y%[2]d, Y%[1]d, Y%[1]d\n\tVMOVAPS Y8, Y%[2]d", i, i+h)
			}
		}
	}
	for i := range 8 {
		o("\tVMOVUPS Y%d, %d(DI)", i, 32*i)
	}
	o("\tADDQ $256, DI\n\tDECQ CX\n\tJNZ block\n\tVZEROUPPER\n\tRET\n")
}

// prefetch writes the kernel that fetches a piece of memory ahead of its use.
func prefetch() {
	comment(`prefetch fetches the cache lines from p to p+bytes.`)
	g("//\n//go:noescape\nfunc prefetch(p *uint32, bytes int)\n")
	o("//\n// func prefetch(p *uint32, bytes int)")
	o("TEXT ·prefetch(SB), NOSPLIT|NOFRAME, $0-16")
	o("\tMOVQ p+0(FP), DI\n\tMOVQ bytes+8(FP), CX\n\tADDQ DI, CX")
	o("next:\n\tPREFETCHT0 (DI)\n\tADDQ $64, DI\n\tCMPQ DI, CX\n\tJLT next\n\tRET\n")
}
