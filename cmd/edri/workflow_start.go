package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// startFlags are the flags that make up a start.
type startFlags struct {
	start                        workflows.Start
	input, memo, reuse, conflict string
	signal                       string
	attributes                   []string
	wait                         bool
}

func (a *app) workflowStartCommand() *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start TYPE",
		Short: "Start a run of a workflow",
		Long: `Start a run of a workflow, which goes on by itself wherever a worker has its code. With
--wait its result is printed when it has ended, and the exit code is 6 where it did not
complete.`,
		Example: `  edri workflow start fulfil --id order-7 --input '{"item":"lamp"}' --attribute total=7
  edri workflow start fulfil --input @order.json --delay 10m --run-timeout 24h
  edri workflow start counter --id c --conflict use --signal add=1`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.start.ID, "id", "", "id of the run; default a new UUID")
	flags.Uint32Var(&f.start.Version, "version", 0, "version of the code; default the highest that is known")
	flags.StringVar(&f.input, "input", "", "input as JSON; @FILE for a file, - for standard input")
	flags.StringVar(&f.reuse, "reuse", string(workflows.ReuseAlways), "whether the id of a run that has ended may be used again: always, if-failed or never")
	flags.StringVar(&f.conflict, "conflict", string(workflows.ConflictFail), "where a run of the id is under way: fail, use it, or terminate it")
	flags.DurationVar(&f.start.Delay, "delay", 0, "how long the run waits before it begins")
	flags.DurationVar(&f.start.Timeout, "run-timeout", 0, "ends the run as timed out, from its begin on; 0: never")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "attribute by which the run is found, as NAME=VALUE; may be repeated")
	flags.StringVar(&f.memo, "memo", "", "JSON that is kept and shown; @FILE or -")
	flags.StringVar(&f.start.Correlation, "correlation", "", "correlation id of all that the run does; default its id")
	flags.StringVar(&f.signal, "signal", "", "signal that is received first, as NAME or NAME=JSON; also by a run that is there with --conflict use")
	flags.BoolVar(&f.wait, "wait", false, "wait for the run's end and print its result")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		f.start.Type = args[0]
		s, err := f.parse(a)
		if err != nil {
			return err
		}
		c, err := a.connect(a.timeout)
		if err != nil {
			return err
		}
		defer c.Close()
		return a.startRun(ctx, c, s, f.wait)
	})
	return cmd
}

func (f *startFlags) parse(a *app) (workflows.Start, error) {
	s := f.start
	s.Reuse, s.Conflict = workflows.ReusePolicy(f.reuse), workflows.ConflictPolicy(f.conflict)
	switch s.Reuse {
	case workflows.ReuseAlways, workflows.ReuseIfFailed, workflows.ReuseNever:
	default:
		return s, usagef("--reuse %q: is none of always, if-failed, never", f.reuse)
	}
	switch s.Conflict {
	case workflows.ConflictFail, workflows.ConflictUse, workflows.ConflictTerminate:
	default:
		return s, usagef("--conflict %q: is none of fail, use, terminate", f.conflict)
	}
	if f.input == "-" && f.memo == "-" {
		return s, usagef("--input and --memo cannot both be standard input")
	}
	var err error
	if s.Input, err = a.jsonFrom("input", f.input); err != nil {
		return s, err
	}
	if s.Memo, err = a.jsonFrom("memo", f.memo); err != nil {
		return s, err
	}
	if s.Attributes, err = attributesFrom(f.attributes); err != nil {
		return s, err
	}
	if f.signal != "" {
		s.Signal, err = signalFrom(f.signal)
	}
	return s, err
}

// attributesFrom reads NAME=VALUE. A value that is a number, true or false is that, any other
// is a text; one in quotation marks is a text too.
func attributesFrom(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	attributes := map[string]any{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--attribute %q: is not NAME=VALUE", text)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		attributes[name] = v
	}
	return attributes, nil
}

// signalFrom reads NAME or NAME=JSON.
func signalFrom(text string) (*workflows.Signal, error) {
	name, input, has := strings.Cut(text, "=")
	s := &workflows.Signal{Name: name}
	if has {
		if s.Input = []byte(input); !json.Valid(s.Input) {
			return nil, usagef("--signal %q: what is behind = is no JSON", text)
		}
	}
	if name == "" {
		return nil, usagef("--signal %q: is not NAME or NAME=JSON", text)
	}
	return s, nil
}

func (a *app) startRun(ctx context.Context, c *client.Client, s workflows.Start, wait bool) error {
	first, cancel := context.WithTimeoutCause(ctx, a.timeout, errTookTooLong)
	defer cancel()
	run, byThis, err := c.StartRun(first, s)
	if err != nil {
		if event.CodeOf(err) != event.CodeOutcomeUnknown {
			err = tooLong(first, err)
		}
		return err
	}
	if wait {
		o, err := c.WaitRun(ctx, run)
		if err != nil {
			return err
		}
		return a.writeOutcome(o)
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			ID      string `json:"id"`
			Number  uint64 `json:"number,string"`
			Started bool   `json:"started"`
		}{run.ID, run.Number, byThis})
	}
	suffix := ""
	if !byThis {
		suffix = " was under way"
	}
	_, err = fmt.Fprintf(a.stdout, "run %s%s\n", runName(run), suffix)
	return wrapWrite(err)
}

// errNotWithin is the cause of a wait's end by --within.
var errNotWithin = errors.New("not within --within")

// notEnded says how a run stands that was awaited for long enough.
func notEnded(ctx context.Context, c *client.Client, run client.RunID, within time.Duration) error {
	r, err := c.Run(ctx, run, client.Linearizable)
	if err != nil {
		return err
	}
	how := "is " + statusText(r)
	switch {
	case r.Paused && r.Note != "":
		how += ": " + r.Note
	case r.Next != 0:
		how = "goes on as " + runName(client.RunID{ID: r.ID, Number: r.Next})
	}
	return event.Errorf(event.CodeDeadlineExceeded, "run %s has not ended within %v, it %s", runName(r.RunID), within, how)
}

func (a *app) workflowWaitCommand() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "wait RUN",
		Short: "Wait for a run's end and print its result",
		Long: `Wait for a run's end, and that of runs that continue it, and print the result. The exit
code is 6 where it did not complete.`,
		Example: `  edri workflow wait order-7
  edri workflow wait order-7 --within 1m -o jsonl`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().DurationVar(&within, "within", 0, "give up after this time, with exit code 5; 0: never")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		return a.withRun(ctx, args[0], func(ctx context.Context, c *client.Client, run client.RunID) error {
			waited := ctx
			if within > 0 {
				var cancel context.CancelFunc
				waited, cancel = context.WithTimeoutCause(ctx, within, errNotWithin)
				defer cancel()
			}
			o, err := c.WaitRun(waited, run)
			if err != nil && errors.Is(context.Cause(waited), errNotWithin) {
				return notEnded(ctx, c, run, within)
			}
			if err != nil {
				return err
			}
			return a.writeOutcome(o)
		})
	})
	return cmd
}
