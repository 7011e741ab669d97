package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is what every command writes to.
type app struct {
	stdout, stderr io.Writer
	json           bool // --json: one JSON value on stdout, nothing else there
}

// exitCode is what a command that did its work ends with where that is not 0.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Run runs one command line and returns the exit code: 0, 1 on an error, 130 when it was interrupted, or what the command says of
// its result. An error is one line on stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "akin",
		Short: "Learns an embedding from your own data and finds what is alike, and what is unlike everything known",
		Long: `akin learns an embedding from your own data, with few labels or none, indexes it, and answers what is alike and
what is unlike everything known, on the command line and over HTTP.

A first look:    akin demo
Your own images or sounds: akin train, akin ingest, akin serve   (one folder a class; see each command's --help)`,
		SilenceErrors: true,
		SilenceUsage:  true,

		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return checkThreads(c) },
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON value for machines")
	for _, c := range []func(*app) *cobra.Command{newDemo, newTrain, newTune, newIngest, newServe, newSearch, newScore, newEval, newShow, newVerify, newVerifyPair, newImport, newExport, newBench} {
		root.AddCommand(c(a))
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if code, ok := err.(exitCode); ok {
		return int(code)
	}
	line := strings.Join(strings.Fields(err.Error()), " ")
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(stderr, "akin: interrupted:", line)
		return 130
	}
	fmt.Fprintln(stderr, "akin:", line)
	return 1
}

// print writes v as JSON where --json asks for it, else the text.
func (a *app) print(v any, text func(io.Writer) error) error {
	if !a.json {
		return text(a.stdout)
	}
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// status writes a line about progress to stderr.
func (a *app) status(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }

// terminal reports whether stderr is a terminal, where a line may be written over.
func (a *app) terminal() bool {
	f, ok := a.stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// logger writes warnings and errors of the packages below to stderr.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
