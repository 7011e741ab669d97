package distance

import (
	"fmt"
	"os"
	"strings"
)

// EnvCPU names the environment variable that lowers the CPU tier: avx512, avx2 or generic; amx and avx512bf16, which differ in the products of
// training (encoder/kernel), are avx512 here.
const EnvCPU = "AKIN_CPU"

// tier is one level of CPU kernels.
type tier int

const (
	generic tier = iota
	avx2
	avx512
)

func (t tier) String() string { return [...]string{"generic", "avx2", "avx512"}[t] }

// active is the tier of this process, chosen once.
var active, activeErr = pick(supported(), os.Getenv(EnvCPU))

// Tier names the kernels in use.
func Tier() string { return active.String() }

// Err says what is wrong with AKIN_CPU: an unknown tier, or one that this machine does not have. The fastest tier of the
// machine is in use then.
func Err() error { return activeErr }

// pick returns the tier named want, or the first of have when want is empty.
func pick(have []tier, want string) (tier, error) {
	if want == "" {
		return have[0], nil
	}
	name := want
	if want == "amx" || want == "avx512bf16" {
		name = avx512.String()
	}
	names := make([]string, len(have))
	for i, t := range have {
		names[i] = t.String()
		if names[i] == name {
			return t, nil
		}
	}
	return have[0], fmt.Errorf("distance: %s=%q is not a CPU tier of this machine: use one of %s, or unset it",
		EnvCPU, want, strings.Join(names, ", "))
}
