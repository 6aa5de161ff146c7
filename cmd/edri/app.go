package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// app is one run of the command line: its streams and the flags that every
// command has.
type app struct {
	ctx       context.Context
	lookupEnv func(string) (string, bool)
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer

	server  string
	output  string
	timeout time.Duration
	verbose bool

	// began says that the command line was understood and its command runs.
	began bool
}

// The forms of output.
const (
	outputText  = "text"
	outputJSON  = "json"
	outputJSONL = "jsonl"
)

var outputs = []string{outputText, outputJSON, outputJSONL}

const (
	serverEnv      = "EDRI_URL"
	defaultTimeout = 10 * time.Second
)

// run executes the command line and returns the exit code. ctx ends with a cause
// of errInterrupted when a signal asks for the end.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, lookupEnv: lookupEnv, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		err = &usageError{err} // cobra did not understand it
	}
	code := exitCode(ctx, err)
	switch {
	case code == exitOK:
	case code == exitInterrupted:
		fmt.Fprintln(stderr, "edri: interrupted")
	default:
		fmt.Fprintln(stderr, "edri:", printable(err.Error()))
		if code == exitUsage {
			if !a.began && !cmd.HasSubCommands() {
				fmt.Fprintln(stderr, "Usage:", cmd.UseLine())
			}
			fmt.Fprintf(stderr, "Try '%s --help'.\n", cmd.CommandPath())
		}
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "edri",
		Short: "Append, read and follow the events of an edri cluster, and have them delivered",
		Example: `  edri events append --stream order/1 --type order.placed --data '{"total":7}'
  edri events query --stream order/1
  edri events tail --type-prefix order.
  edri subscriptions consume orders
  edri request call --type price.asked --data '{"article":7}'
  edri cluster status --server http://10.0.0.1:7420,http://10.0.0.2:7420`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	a.group(root)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(a.retentionCommand())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	flags := root.PersistentFlags()
	server := client.DefaultServer
	if v, _ := a.lookupEnv(serverEnv); v != "" {
		server = v
	}
	flags.StringVar(&a.server, "server", server, "URLs of nodes, with commas between them; also "+serverEnv)
	flags.StringVarP(&a.output, "output", "o", outputText, "form of the output: text, json or jsonl")
	flags.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long to go on trying while no node serves, or none answers")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say on standard error when a connection is made again")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	root.AddCommand(a.eventsCommand(), a.streamsCommand(), a.subscriptionsCommand(), a.requestCommand(), a.kvCommand(), a.scheduleCommand(), a.workflowCommand(), a.workerCommand(), a.clusterCommand(), a.backupCommand(), a.restoreCommand(), a.inspectCommand(), a.benchCommand(), a.versionCommand())
	return root
}

// group makes cmd one that only has other commands: alone it shows its help, and
// an unknown command is a usage error.
func (a *app) group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q for %q", args[0], cmd.CommandPath())
		}
		cmd.SetOut(a.stderr)
		_ = cmd.Help() // what could be wrong is said by the next line
		return usagef("which command?")
	}
}

// does makes a function the command's. The flags that all commands have are
// checked before.
func (a *app) does(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		if !slices.Contains(outputs, a.output) {
			return usagef("--output %q: is none of %s", a.output, strings.Join(outputs, ", "))
		}
		if a.timeout <= 0 {
			return usagef("--timeout %v: must be more than 0", a.timeout)
		}
		return f(cmd.Context(), args)
	}
}

// urls are the servers as given.
func (a *app) urls() []string {
	var urls []string
	for u := range strings.SplitSeq(a.server, ",") {
		if u = strings.TrimSpace(u); u != "" && !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// connect returns a client whose calls give up after a time without any server.
// The caller closes it.
func (a *app) connect(giveUpAfter time.Duration) (*client.Client, error) {
	urls := a.urls()
	if len(urls) == 0 {
		return nil, usagef("--server: no URL given")
	}
	c, err := client.New(client.Config{Servers: urls, Logger: a.logger(), GiveUpAfter: giveUpAfter})
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	return c, nil
}

func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// errTookTooLong is the cause of a context that waitFirst ended.
var errTookTooLong = errors.New("not within --timeout")

// waitFirst returns a context that ends after the timeout, unless stop is called
// before, if a read may wait before it begins to answer. How long the answer then
// takes is not bounded.
func (a *app) waitFirst(ctx context.Context, c client.Consistency, min event.Position) (_ context.Context, stop func()) {
	if c != client.Linearizable && min == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(a.timeout, func() { cancel(errTookTooLong) })
	return ctx, func() { timer.Stop() }
}

// onTerminal reports whether w is a terminal.
func onTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}
