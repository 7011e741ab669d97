// Command akin learns an embedding from your own data, indexes it, and answers over HTTP what is alike and what is unlike
// everything known. "akin --help" lists the commands; "akin demo" shows them all at work on handwritten digits.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	code := Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
