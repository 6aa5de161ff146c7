// Command edri is the command line of an edri cluster: it appends, imports, reads
// and follows events, and tells how the cluster is.
//
// Every command has a file of its own; app.go has what they share. Data goes to
// standard output, everything else to standard error. Exit codes are in exit.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel(errInterrupted)
		// From the second on a signal does what it does by itself.
		signal.Stop(signals)
	}()
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr)
	os.Exit(code)
}
