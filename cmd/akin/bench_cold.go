package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
)

// coldCommand is what a cold start runs in a process of its own.
const coldCommand = "cold-start"

func newBenchCold(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    coldCommand,
		Short:  "Open a store and ask it the question on standard input (of akin bench recall --runbook cold-start)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var q benchmarks.ColdQuestion
			if err := json.NewDecoder(c.InOrStdin()).Decode(&q); err != nil {
				return fmt.Errorf("the question on standard input: %w", err)
			}
			answer, err := benchmarks.AskCold(c.Context(), q)
			if err != nil {
				return err
			}
			return json.NewEncoder(a.stdout).Encode(answer)
		},
	}
}

// askInNewProcess has another process of this program ask.
func askInNewProcess(ctx context.Context, q benchmarks.ColdQuestion) (answer benchmarks.ColdAnswer, err error) {
	program, err := os.Executable()
	if err != nil {
		return answer, err
	}
	question, err := json.Marshal(q)
	if err != nil {
		return answer, err
	}
	c := exec.CommandContext(ctx, program, "bench", coldCommand)
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(question), &stderr
	out, err := c.Output()
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	if err != nil {
		return answer, fmt.Errorf("%s bench %s: %w: %s", program, coldCommand, err, strings.TrimSpace(stderr.String()))
	}
	return answer, json.Unmarshal(out, &answer)
}
