package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/managers"
)

func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "worker", Short: "Run programs that handle events"}
	a.group(cmd)
	cmd.AddCommand(a.workerRunCommand())
	return cmd
}

// workerFlags are the flags of worker run.
type workerFlags struct {
	subscription string
	timeout      time.Duration
	process      managers.Process
}

func (a *app) workerRunCommand() *cobra.Command {
	var f workerFlags
	cmd := &cobra.Command{
		Use:   "run --subscription NAME [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a program that handles the events of a subscription",
		Long: `Run a program, and again whenever it ends, until interrupted. It gets the events of a
subscription, which must be there, as lines of JSON on its standard input, and writes
what came of each to its standard output: docs/worker-protocol.md says how. What it
writes to standard error is logged.`,
		Example: `  edri subscriptions create billing --type order.placed
  edri worker run --subscription billing -- python3 billing.py
  edri worker run --subscription billing --instances 4 --env REGION=north -- ./billing`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.subscription, "subscription", "", "whose events it handles")
	flags.IntVar(&f.process.Instances, "instances", 1, "how many processes run")
	flags.IntVar(&f.process.Concurrency, "concurrency", 0, "most events that a process has at a time; 0: as many as it says it takes")
	flags.DurationVar(&f.timeout, "event-timeout", managers.DefaultTimeout, "time for one event; then the process is ended")
	flags.StringVar(&f.process.Dir, "dir", "", "working folder of the program; default this one")
	flags.StringArrayVar(&f.process.Env, "env", nil, "NAME=VALUE, added to the environment of the program")
	_ = cmd.MarkFlagDirname("dir") // the flag is there
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		switch {
		case f.subscription == "":
			return usagef("--subscription: is missing")
		case len(args) == 0:
			return usagef("the command is missing: write it behind --")
		case f.timeout <= 0:
			return usagef("--event-timeout %v: must be more than 0", f.timeout)
		}
		f.process.Command = args
		return a.runWorker(ctx, f)
	})
	return cmd
}

func (a *app) runWorker(ctx context.Context, f workerFlags) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	host, _ := os.Hostname() // only a name for people
	m, err := managers.NewProcessWorker(f.subscription, managers.Config{
		Existing: true,
		Timeout:  f.timeout,
		Member:   fmt.Sprintf("edri@%s:%d", host, os.Getpid()),
		Logger:   a.workerLogger(),
	}, f.process)
	if err != nil {
		return &usageError{err}
	}
	if err := m.Run(ctx, c); err != nil {
		return err
	}
	return context.Cause(ctx) // of the interrupt, which is how it ends
}

// workerLogger logs what the worker says and what happens to it; --verbose more.
func (a *app) workerLogger() *slog.Logger {
	level := slog.LevelInfo
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}
