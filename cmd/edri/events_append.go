package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/edri-io/edri/event"
)

// defaultSource names where events come from that a person makes by hand.
const defaultSource = "/edri/cli"

type appendFlags struct {
	event      event.Event
	stream     string
	expected   string
	data       string
	dataFile   string
	extensions []string
	correlate  string
	hasData    bool
}

func (a *app) appendCommand() *cobra.Command {
	var f appendFlags
	cmd := &cobra.Command{
		Use:   "append --type TYPE",
		Short: "Append one event",
		Long: `Append one event and wait until the cluster has it. An event whose source and
id are there already, with the same content, is a duplicate and a success.`,
		Example: `  edri events append --stream order/1 --type order.placed --data '{"total":7}'
  edri events append --stream order/1 --type order.paid --expected 1`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.event.Type, "type", "", "type of the event (required)")
	flags.StringVar(&f.stream, "stream", "", "stream; default the subject, else the source")
	flags.StringVar(&f.event.Subject, "subject", "", "what in the source the event is about")
	flags.StringVar(&f.event.Source, "source", defaultSource, "URI reference of what the event comes from")
	flags.StringVar(&f.event.ID, "id", "", "id, unique in the source; default a new UUID")
	flags.StringVar(&f.data, "data", "", "the event's data")
	flags.StringVar(&f.dataFile, "data-file", "", "file with the event's data; - for standard input")
	flags.StringVar(&f.event.DataContentType, "content-type", "", "media type of the data; default application/json if it is JSON, else text/plain")
	flags.StringVar(&f.expected, "expected", "any", "what the stream must be before: any, exists, or its revision, 0 if it must not exist")
	flags.StringVar(&f.correlate, "correlation", "", "correlation id")
	flags.StringArrayVar(&f.extensions, "extension", nil, "further attribute as NAME=VALUE; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("data", "data-file")
	run := a.does(func(ctx context.Context, _ []string) error { return a.append(ctx, f) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.hasData = flags.Changed("data")
		return run(cmd, args)
	}
	return cmd
}

func (a *app) append(ctx context.Context, f appendFlags) error {
	e, expected, err := a.eventFrom(f)
	if err != nil {
		return err
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Append(ctx, f.stream, expected, e)
	if event.CodeOf(err) == event.CodeOutcomeUnknown {
		return fmt.Errorf("%w; the event may be stored or not: the same command with --source %s --id %s finds out", err, e.Source, e.ID)
	}
	if err != nil {
		return err
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			Position  event.Position `json:"position,string"`
			Revision  event.Revision `json:"revision,string"`
			Duplicate bool           `json:"duplicate"`
			ID        string         `json:"id"`
			Source    string         `json:"source"`
		}{done.Position, done.Revision, done.Duplicate, e.ID, e.Source})
	}
	text := fmt.Sprintf("position %d, revision %d", done.Position, done.Revision)
	if done.Duplicate {
		text = fmt.Sprintf("duplicate of position %d", done.Position)
	}
	_, err = fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}

// eventFrom builds the event that the flags describe.
func (a *app) eventFrom(f appendFlags) (event.Event, event.Expected, error) {
	e := f.event
	if e.Type == "" {
		return e, 0, usagef("--type is required")
	}
	expected, err := event.ParseExpected(f.expected)
	if err != nil {
		return e, 0, usagef("--expected: %w", err)
	}
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return e, 0, fmt.Errorf("make an id: %w", err)
		}
		e.ID = id.String()
	}
	e.Extensions = map[string]event.Value{}
	for _, x := range f.extensions {
		name, value, ok := strings.Cut(x, "=")
		if !ok || name == "" {
			return e, 0, usagef("--extension %q: is not NAME=VALUE", x)
		}
		e.Extensions[name] = event.String(value)
	}
	if f.correlate != "" {
		e.Extensions[event.AttrCorrelation] = event.String(f.correlate)
	}
	if e.Data, err = a.readData(f); err != nil {
		return e, 0, err
	}
	if e.DataContentType == "" {
		e.DataContentType = contentType(e.Data)
	}
	return e, expected, nil
}

func (a *app) readData(f appendFlags) ([]byte, error) {
	if f.dataFile == "" {
		if !f.hasData {
			return nil, nil
		}
		return []byte(f.data), nil
	}
	in := a.stdin
	if f.dataFile != "-" {
		file, err := os.Open(f.dataFile)
		if err != nil {
			return nil, fmt.Errorf("read data: %w", err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, event.MaxDataBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read data: %w", err)
	}
	if len(data) > event.MaxDataBytes {
		// The rest is counted and not kept.
		rest, err := io.Copy(io.Discard, in)
		if err != nil {
			return nil, fmt.Errorf("read data: %w", err)
		}
		return nil, event.Errorf(event.CodeTooLarge, "event data has %d bytes, the maximum is %d", int64(len(data))+rest, event.MaxDataBytes)
	}
	return data, nil
}

// contentType is what data looks like; empty for none.
func contentType(data []byte) string {
	switch {
	case data == nil:
		return ""
	case json.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain"
	}
	return "application/octet-stream"
}
