package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) requestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "request", Short: "Ask workers for a response"}
	a.group(cmd)
	cmd.AddCommand(a.requestSendCommand(), a.requestCallCommand(), a.requestAttachCommand())
	return cmd
}

// requestFlags are those of a request's event, and how long responses are taken.
type requestFlags struct {
	eventFlags
	within time.Duration
}

// register registers the flags. --within is the request's, which it keeps; --timeout is as
// ever the command's.
func (f *requestFlags) register(cmd *cobra.Command) {
	f.eventFlags.register(cmd)
	cmd.Flags().DurationVar(&f.within, "within", client.DefaultRequestTimeout, "how long responses are taken, from the request's commit on")
}

// parse returns the request that the flags describe.
func (f *requestFlags) parse(a *app, cmd *cobra.Command) (event.Event, client.CallOptions, error) {
	f.hasData = cmd.Flags().Changed("data")
	e, err := a.eventFrom(f.eventFlags)
	if err == nil && f.within < time.Millisecond {
		err = usagef("--within %v: must be at least 1ms", f.within)
	}
	return e, client.CallOptions{Timeout: f.within}, err
}

// openRequest connects for a call that waits for a response for so long. Without a node that
// serves it goes on trying no longer than that either.
func (a *app) openRequest(within time.Duration, f func(*client.Client) error) error {
	c, err := a.connect(min(a.timeout, within))
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// writeResponse writes the data of a response for people, all of it for programs.
func (a *app) writeResponse(r *event.Recorded) error {
	if a.output != outputText {
		b := r.AppendJSON(nil)
		if a.output == outputJSON {
			var indented bytes.Buffer
			if json.Indent(&indented, b, "", "  ") == nil {
				b = indented.Bytes()
			}
		}
		_, err := a.stdout.Write(append(b, '\n'))
		return wrapWrite(err)
	}
	if r.Data == nil {
		return nil
	}
	_, err := fmt.Fprintln(a.stdout, shownData(r.Data))
	return wrapWrite(err)
}

// unknownRequest tells how to find out about a request whose outcome is not known.
func unknownRequest(err error, e event.Event) error {
	if event.CodeOf(err) == event.CodeOutcomeUnknown {
		return fmt.Errorf("%w; the request may have been made or not: the same command with --source %s --id %s joins it", err, e.Source, e.ID)
	}
	return err
}

// gathered writes many responses, one line each.
func (a *app) gathered(responses []event.Recorded) error {
	out := newListWriter(a.stdout, a.output)
	for i := range responses {
		if err := out.event(&responses[i]); err != nil {
			return err
		}
	}
	return out.close()
}
