package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// change is a command that changes one run, or all that match a filter.
type change struct {
	use, short, example string
	about               string // what short does not say, a paragraph
	// args are the arguments behind RUN.
	args int
	// reason names the flag for why; empty: none.
	reason string
	done   string // "is paused"
	flags  func(*cobra.Command)
	// prepare reads what the flags and args say, before anything is changed.
	prepare func(args []string) error
	// do changes a run. It returns another text than done, or none.
	do func(ctx context.Context, c *client.Client, run client.RunID, reason string) (string, error)
}

// batchFlags are the flags of a change of many runs.
type batchFlags struct {
	filter, cursor string
	concurrency    int
}

const batchHelp = `

With --filter all runs that match, by their numbers. What was done is told run by run; after
an interruption the same command goes on where --cursor says, or from the begin.
`

func (a *app) changeCommand(ch change) *cobra.Command {
	var reason string
	var b batchFlags
	behind := strings.TrimPrefix(ch.use, strings.Fields(ch.use)[0]+" RUN")
	cmd := &cobra.Command{
		Use:     strings.Replace(ch.use, "RUN", "{RUN | --filter FILTER}", 1),
		Short:   ch.short,
		Long:    ch.short + "." + strings.TrimRight("\n\n"+ch.about, "\n") + batchHelp + filterHelp,
		Example: ch.example,
	}
	flags := cmd.Flags()
	if ch.reason != "" {
		flags.StringVar(&reason, ch.reason, "", "why, for whoever looks")
	}
	flags.StringVar(&b.filter, "filter", "", "all runs that match, instead of RUN")
	flags.StringVar(&b.cursor, "cursor", "", "where an earlier change with the same filter ended")
	flags.IntVar(&b.concurrency, "concurrency", 16, "with --filter: how many runs at a time, up to 256")
	if ch.flags != nil {
		ch.flags(cmd)
	}
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		want := ch.args + 1
		if b.filter != "" {
			want--
		}
		if len(args) != want {
			return usagef("give RUN%s, or --filter instead of RUN", behind)
		}
		if ch.prepare != nil {
			if err := ch.prepare(args[len(args)-ch.args:]); err != nil {
				return err
			}
		}
		if b.filter != "" {
			return a.changeAll(ctx, b, func(ctx context.Context, c *client.Client, run client.RunID) (string, error) {
				done, err := ch.do(ctx, c, run, reason)
				return firstText(done, ch.done), err
			})
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			run, err := runAt(ctx, c, args[0])
			if err != nil {
				return err
			}
			done, err := ch.do(ctx, c, run, reason)
			if err != nil {
				return err
			}
			return a.writeRunChanged(run, firstText(done, ch.done))
		})
	})
	return cmd
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// changeAll changes all runs that match, and tells of each.
func (a *app) changeAll(ctx context.Context, b batchFlags, do func(context.Context, *client.Client, client.RunID) (string, error)) error {
	if b.concurrency < 1 || b.concurrency > 256 {
		return usagef("--concurrency %d: must be within 1 and 256", b.concurrency)
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	out := newListWriter(a.stdout, a.output)
	done, failed := 0, 0
	cursor := b.cursor
	for page, err := range a.batch(ctx, c, b, do) {
		if err != nil {
			return errors.Join(out.close(), goOn(err, cursor))
		}
		for _, r := range page.results {
			if r.Error == "" {
				done++
			} else {
				failed++
			}
			if err := writeChanged(out, r); err != nil {
				return err
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(out.close(), goOn(context.Cause(ctx), cursor))
		}
		cursor = page.cursor
	}
	if err := out.close(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("done with %d, failed with %d", done, failed)
	}
	fmt.Fprintf(a.stderr, "done with %d\n", done)
	return nil
}

// goOn says how a change of many runs goes on after an error.
func goOn(err error, cursor string) error {
	if cursor == "" || event.CodeOf(err) == event.CodeInvalid {
		return err // nothing was done, or the cursor or the filter is none
	}
	return fmt.Errorf("%w; it goes on with --cursor %s", err, cursor)
}

type changedPage struct {
	results []changedJSON
	cursor  string
}

// saidTexts are what was said of runs, by goroutines.
type saidTexts struct {
	mu    sync.Mutex
	texts map[client.RunID]string
}

func (s *saidTexts) put(run client.RunID, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[run] = text
}

// take returns what was said of a run, and whether it was tried.
func (s *saidTexts) take(run client.RunID) (text string, tried bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, tried = s.texts[run]
	delete(s.texts, run)
	return text, tried
}

// batch is client.Batch with what to say of each run.
func (a *app) batch(ctx context.Context, c *client.Client, b batchFlags, do func(context.Context, *client.Client, client.RunID) (string, error)) func(func(changedPage, error) bool) {
	return func(yield func(changedPage, error) bool) {
		said := saidTexts{texts: map[client.RunID]string{}}
		pages := c.Batch(ctx, b.filter, client.BatchOptions{Concurrency: b.concurrency, Cursor: b.cursor},
			func(ctx context.Context, run client.RunID) error {
				text, err := do(ctx, c, run)
				said.put(run, text)
				return err
			})
		for page, err := range pages {
			out := changedPage{cursor: page.Cursor}
			for _, r := range page.Results {
				j := changedJSON{ID: r.Run.ID, Number: r.Run.Number}
				text, tried := said.take(r.Run.RunID)
				switch {
				case r.Err == nil:
					j.Done = text
				case tried:
					j.Error = r.Err.Error()
				default:
					j.Error = fmt.Sprintf("nothing was done: %v", context.Cause(ctx))
				}
				out.results = append(out.results, j)
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}

func writeChanged(out *listWriter, r changedJSON) error {
	return out.item(
		func(b []byte) ([]byte, error) {
			name := runName(client.RunID{ID: r.ID, Number: r.Number})
			if r.Error != "" {
				return fmt.Appendf(b, "run %s: %s", name, printable(r.Error)), nil
			}
			return fmt.Appendf(b, "run %s %s", name, r.Done), nil
		},
		func(b []byte) ([]byte, error) { return appendJSONLine(b, r) },
	)
}

// simple is a change that has nothing but a reason.
func simple(f func(*client.Client, context.Context, client.RunID, string) error) func(context.Context, *client.Client, client.RunID, string) (string, error) {
	return func(ctx context.Context, c *client.Client, run client.RunID, reason string) (string, error) {
		return "", f(c, ctx, run, reason)
	}
}

func (a *app) workflowCancelCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "cancel RUN", short: "Ask a run's code to clean up and end", reason: "reason", done: "was asked to end",
		about: `What its code waits for ends with edri.canceled; how it ends, and when, is its own. A run that
is paused, or waits for its delay, is told when that is over. Terminate ends it at once.`,
		example: `  edri workflow cancel order-7 --reason 'the customer called'
  edri workflow cancel --filter 'type = "fulfil" and customer = "c-1" and status = "running"'`,
		do: simple((*client.Client).CancelRun),
	})
}

func (a *app) workflowTerminateCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "terminate RUN", short: "End a run at once, without its code", reason: "reason", done: "is terminated",
		example: `  edri workflow terminate order-7 --reason 'does not end'`,
		do:      simple((*client.Client).TerminateRun),
	})
}

func (a *app) workflowPauseCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "pause RUN", short: "Keep a run from going on", reason: "note", done: "is paused",
		about: `Steps that are under way end, and what they came to is recorded; no other begins. Signals,
updates and timers that come are kept for when it is resumed.`,
		example: `  edri workflow pause order-7 --note 'until the stock is counted'`,
		do:      simple((*client.Client).PauseRun),
	})
}

func (a *app) workflowResumeCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "resume RUN", short: "Let a paused run go on", reason: "note", done: "goes on",
		about:   "Whoever or whatever paused it; a step that has no attempt left begins anew, as by retry.",
		example: `  edri workflow resume --filter 'paused = true and type = "fulfil"'`,
		do:      simple((*client.Client).ResumeRun),
	})
}

func (a *app) workflowRetryCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "retry RUN", short: "Let a run that is paused by a step try it anew", reason: "note", done: "tries again",
		example: `  edri workflow retry order-7 --note 'the bank is back'`,
		do:      simple((*client.Client).RetryRun),
	})
}

func (a *app) workflowRemoveCommand() *cobra.Command {
	return a.changeCommand(change{
		use: "rm RUN", short: "Forget a run that has ended", done: "is forgotten",
		example: `  edri workflow rm --filter 'status = "completed" and ended < "2026-01-01"'`,
		do: func(ctx context.Context, c *client.Client, run client.RunID, _ string) (string, error) {
			return "", c.DeleteRun(ctx, run)
		},
	})
}

func (a *app) workflowSignalCommand() *cobra.Command {
	var input string
	var s workflows.Signal
	return a.changeCommand(change{
		use: "signal RUN NAME", short: "Send a run a signal", args: 1, done: "has the signal",
		example: `  edri workflow signal order-7 approved --input '"desk 1"'`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&input, "input", "", "input as JSON; @FILE or -")
		},
		prepare: func(args []string) (err error) {
			s.Name = args[0]
			s.Input, err = a.jsonFrom("input", input)
			return err
		},
		do: func(ctx context.Context, c *client.Client, run client.RunID, _ string) (string, error) {
			return "", c.SignalRun(ctx, run, s)
		},
	})
}

func (a *app) workflowResetCommand() *cobra.Command {
	var to client.Reset
	return a.changeCommand(change{
		use: "reset RUN", reason: "reason", done: "is reset",
		about: `A run that is under way is terminated. What its history has up to the point holds; what was
open there is asked for again: steps run again, also those that run at most once. Signals
that came after it are received again, updates are not made again.`,
		short: "Run a run again from a point of its history, as a new run of its id",
		example: `  edri workflow reset order-7 --step charge --reason 'was charged from the wrong account'
  edri workflow reset order-7 --revision 12 --drop-signals`,
		flags: func(cmd *cobra.Command) {
			flags := cmd.Flags()
			flags.StringVar(&to.Step, "step", "", "what was before the first attempt of this step holds")
			flags.Uint64Var(&to.Seq, "seq", 0, "the same by the step's number, which show tells")
			flags.Uint64Var((*uint64)(&to.Revision), "revision", 0, "this event of the history is the last that holds")
			flags.BoolVar(&to.DropSignals, "drop-signals", false, "signals that came after that are not received again")
			cmd.MarkFlagsMutuallyExclusive("step", "seq", "revision")
			cmd.MarkFlagsOneRequired("step", "seq", "revision")
		},
		do: func(ctx context.Context, c *client.Client, run client.RunID, reason string) (string, error) {
			point := to
			point.Reason = reason
			next, err := c.ResetRun(ctx, run, point)
			return "goes on as " + runName(next), err
		},
	})
}

func (a *app) workflowHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history RUN",
		Short: "Print the events of a run's history",
		Long: `Print the events of a run's history. With --output jsonl it is what workflows.ReadHistory
reads, to replay it with other code; see "edri workflow check".`,
		Example: `  edri workflow history order-7
  edri workflow history order-7 -o jsonl > order-7.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withRun(ctx, args[0], func(ctx context.Context, c *client.Client, run client.RunID) error {
				return a.writeHistory(ctx, c, run, a.stdout, a.output)
			})
		}),
	}
}

func (a *app) writeHistory(ctx context.Context, c *client.Client, run client.RunID, to io.Writer, form string) error {
	r, err := c.Run(ctx, run, client.Linearizable)
	if err != nil {
		return err
	}
	out := newListWriter(to, form)
	for e, err := range c.History(ctx, r.ID, r.History) {
		if err != nil {
			return err
		}
		err := out.item(
			func(b []byte) ([]byte, error) {
				kind := strings.TrimPrefix(e.Type, workflows.HistoryPrefix)
				return fmt.Appendf(b, "%d  %s  %-18s  %s", e.Revision, formatTime(e.Time), printable(kind), preview(e.Data)), nil
			},
			func(b []byte) ([]byte, error) { return e.AppendJSON(b), nil },
		)
		if err != nil {
			return err
		}
	}
	return out.close()
}
