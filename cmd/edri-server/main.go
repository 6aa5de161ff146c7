package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/server"
)

// exitUsage is the exit code for a command line that is not understood; the others
// are server.ExitCode's.
const exitUsage = 2

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		cancel(fmt.Errorf("signal: %v", <-signals))
		<-signals
		exit(1) // asked twice: at once
	}()
	exit(run(ctx, os.Args[1:], os.LookupEnv, exit, os.Stdout, os.Stderr))
}

// exit ends the process, and what its workers have started.
func exit(code int) {
	managers.KillProcesses()
	os.Exit(code)
}

// program is one run of the command line.
type program struct {
	lookupEnv func(string) (string, bool)
	exit      func(code int)
	stdout    io.Writer
	stderr    io.Writer
	// began says that the command line was understood.
	began bool
}

// run executes the command line until ctx ends, and returns the exit code.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), exit func(int), stdout, stderr io.Writer) int {
	p := &program{lookupEnv: lookupEnv, exit: exit, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "edri-server:", err)
	if !p.began || errors.Is(err, errUsage) {
		fmt.Fprintln(stderr, "Try 'edri-server --help', or --help behind the command.")
		return exitUsage
	}
	return server.ExitCode(err)
}

var errUsage = errors.New("which command?")

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "edri-server",
		Short:         "A node of an edri cluster",
		SilenceErrors: true,
		SilenceUsage:  true,
		Example: `  edri-server dev
  edri-server run --node-id n1 --data-dir ./n1 --peers n1=127.0.0.1:7421`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			cmd.SetOut(p.stderr)
			_ = cmd.Help() // what could be wrong is said by the next line
			return errUsage
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(p.runCommand(), p.devCommand(), p.versionCommand())
	return root
}

// serve opens the node, says so by opened, and runs it until ctx ends.
func (p *program) serve(ctx context.Context, cfg server.Config, opened func(*server.Server) error) error {
	logger := server.NewLogger(p.stderr, cfg.LogLevel, cfg.LogFormat)
	s, err := server.New(cfg, server.Options{Logger: logger, Exit: p.exit, Restart: p.restart})
	if err != nil {
		return err
	}
	if err := opened(s); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Run(ctx)
}
