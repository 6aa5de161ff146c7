package main

import (
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

// eventFlags are the flags that make up an event.
type eventFlags struct {
	event      event.Event
	stream     string
	data       string
	dataFile   string
	extensions []string
	correlate  string
	hasData    bool // --data was given; the command sets it
}

func (f *eventFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.event.Type, "type", "", "type of the event (required)")
	flags.StringVar(&f.stream, "stream", "", "stream; default the subject, else the source")
	flags.StringVar(&f.event.Subject, "subject", "", "what in the source the event is about")
	flags.StringVar(&f.event.Source, "source", defaultSource, "URI reference of what the event comes from")
	flags.StringVar(&f.event.ID, "id", "", "id, unique in the source; default a new UUID")
	flags.StringVar(&f.data, "data", "", "the event's data")
	flags.StringVar(&f.dataFile, "data-file", "", "file with the event's data; - for standard input")
	flags.StringVar(&f.event.DataContentType, "content-type", "", "media type of the data; default application/json if it is JSON, else text/plain")
	flags.StringVar(&f.correlate, "correlation", "", "correlation id")
	flags.StringArrayVar(&f.extensions, "extension", nil, "further attribute as NAME=VALUE; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("data", "data-file")
}

// eventFrom builds the event that the flags describe.
func (a *app) eventFrom(f eventFlags) (event.Event, error) {
	e := f.event
	if e.Type == "" {
		return e, usagef("--type is required")
	}
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return e, fmt.Errorf("make an id: %w", err)
		}
		e.ID = id.String()
	}
	e.Extensions = map[string]event.Value{}
	err := f.addExtensions(&e)
	if err != nil {
		return e, err
	}
	if e.Data, err = a.readData(f); err != nil {
		return e, err
	}
	if e.DataContentType == "" {
		e.DataContentType = contentType(e.Data)
	}
	if err := event.CheckData(e.DataContentType, e.Data); err != nil {
		return e, &usageError{err}
	}
	return e, nil
}

// addExtensions sets the further attributes that the flags give.
func (f *eventFlags) addExtensions(e *event.Event) error {
	for _, x := range f.extensions {
		name, value, ok := strings.Cut(x, "=")
		if !ok || name == "" {
			return usagef("--extension %q: is not NAME=VALUE", x)
		}
		e.Extensions[name] = event.String(value)
	}
	if f.correlate != "" {
		e.Extensions[event.AttrCorrelation] = event.String(f.correlate)
	}
	return nil
}

func (a *app) readData(f eventFlags) ([]byte, error) {
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
