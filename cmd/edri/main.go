package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/edri-io/edri/managers"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-signals
		cancel(errInterrupted)
		<-signals // asked twice: at once
		exit(exitInterrupted)
	}()
	exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// exit ends the process, and what its workers have started.
func exit(code int) {
	managers.KillProcesses()
	os.Exit(code)
}
