package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/server"
)

// trial is what is different about the node.
type trial struct {
	clockAhead   time.Duration
	level        uint // feature level of the binary; 0: as edri-server's
	wrong        bool
	hashInterval uint64 // entries; 0: as edri-server's
	deadly       bool   // runs a manager with a handler that may end the process
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "trial:", err)
	}
	os.Exit(server.ExitCode(err))
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "run" {
		return fmt.Errorf("%w: the command is run", server.ErrConfig)
	}
	t, given, err := parse(args[1:])
	if err != nil {
		return fmt.Errorf("%w: %w", server.ErrConfig, err)
	}
	e, err := server.Load(server.Sources{Flags: given, LookupEnv: os.LookupEnv})
	if err != nil {
		return err
	}
	logger := server.NewLogger(os.Stderr, e.LogLevel, e.LogFormat)
	own, err := t.managers(logger)
	if err != nil {
		return err
	}
	var wrong error
	s, err := server.New(e.Config, server.Options{Logger: logger, Exit: os.Exit, Managers: own, Tune: func(cfg *consensus.Config) {
		cfg.Machines, wrong = t.machines(cfg.Machines)
		cfg.FeatureLevel, cfg.HashInterval = uint32(t.level), t.hashInterval
		cfg.Clock = func() time.Time { return time.Now().Add(t.clockAhead) }
	}})
	if err := errors.Join(wrong, err); err != nil {
		return err
	}
	if t.level >= newerLevel {
		sending := make(chan struct{})
		defer func() { <-sending }()
		go func() {
			defer close(sending)
			sendNewer(ctx, s.Node(), logger)
		}()
	}
	return s.Run(ctx)
}

// parse reads the trial's own flags, and the settings of a node as they are given.
func parse(args []string) (trial, map[string]string, error) {
	var t trial
	flags := flag.NewFlagSet("trial run", flag.ContinueOnError)
	flags.DurationVar(&t.clockAhead, "trial-clock-ahead", 0, "how far the clock is ahead")
	flags.UintVar(&t.level, "trial-level", 0, "feature level of this binary")
	flags.BoolVar(&t.wrong, "trial-wrong", false, "execute the newer command otherwise than the others")
	flags.Uint64Var(&t.hashInterval, "trial-hash-interval", 0, "entries between hashes that are compared")
	flags.BoolVar(&t.deadly, "trial-deadly", false, "run a manager whose handler ends the process where an event says so")
	given := map[string]string{}
	for _, s := range server.Settings() {
		take := func(value string) error { given[s.Name] = value; return nil }
		if s.Value == "" {
			flags.BoolFunc(s.Name, s.Doc, take)
		} else {
			flags.Func(s.Name, s.Doc, take)
		}
	}
	if err := flags.Parse(args); err != nil {
		return trial{}, nil, err
	}
	if flags.NArg() > 0 {
		return trial{}, nil, errors.New("arguments beside flags")
	}
	return t, given, nil
}
