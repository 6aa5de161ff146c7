package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

// listWriter writes a list of things one by one, in the form that was asked for:
// text lines, lines of JSON, or one JSON array.
type listWriter struct {
	form  string
	out   *bufio.Writer
	count int
	buf   []byte
}

func newListWriter(w io.Writer, form string) *listWriter {
	return &listWriter{form: form, out: bufio.NewWriterSize(w, 64<<10)}
}

// item writes one thing; text and encoded append its two forms.
func (l *listWriter) item(text, encoded func([]byte) ([]byte, error)) error {
	l.buf = l.buf[:0]
	render := encoded
	switch {
	case l.form == outputText:
		render = text
	case l.form == outputJSON && l.count == 0:
		l.buf = append(l.buf, "[\n"...)
	case l.form == outputJSON:
		l.buf = append(l.buf, ",\n"...)
	}
	l.count++
	var err error
	if l.buf, err = render(l.buf); err != nil {
		return err
	}
	if l.form != outputJSON {
		l.buf = append(l.buf, '\n')
	}
	_, err = l.out.Write(l.buf)
	return wrapWrite(err)
}

func (l *listWriter) flush() error { return wrapWrite(l.out.Flush()) }

// close ends the list, also one that an error cut short.
func (l *listWriter) close() error {
	if l.form == outputJSON {
		end := "\n]\n"
		if l.count == 0 {
			end = "[]\n"
		}
		if _, err := l.out.WriteString(end); err != nil {
			return wrapWrite(err)
		}
	}
	return l.flush()
}

func wrapWrite(err error) error {
	if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// event writes one event.
func (l *listWriter) event(e *event.Recorded) error {
	return l.item(
		func(b []byte) ([]byte, error) { return appendEventLine(b, e), nil },
		func(b []byte) ([]byte, error) { return e.AppendJSON(b), nil },
	)
}

// appendEventLine is an event on one line for people.
func appendEventLine(b []byte, e *event.Recorded) []byte {
	return fmt.Appendf(b, "%d  %s  %s @%d  %s  %s  %s", e.Position, formatTime(e.Stamp), printable(e.Stream), e.Revision,
		printable(e.Type), printable(e.ID), preview(e.Data))
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

const previewRunes = 100

// preview is the beginning of an event's data on one line.
func preview(data []byte) string {
	switch {
	case data == nil:
		return "-"
	case !utf8.Valid(data):
		return fmt.Sprintf("(%d bytes)", len(data))
	}
	s := string(data[:min(len(data), utf8.UTFMax*previewRunes)])
	if runes := []rune(s); len(runes) > previewRunes || len(s) < len(data) {
		s = string(runes[:min(len(runes), previewRunes)]) + "…"
	}
	return printable(s)
}

// writeEvent writes all of one event for people.
func writeEvent(w io.Writer, e *event.Recorded) error {
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	row("position", e.Position.String())
	row("stream", e.Stream)
	row("revision", e.Revision.String())
	row("committed", e.Stamp.UTC().Format(time.RFC3339Nano))
	row("id", e.ID)
	row("source", e.Source)
	row("type", e.Type)
	row("subject", e.Subject)
	if !e.Time.IsZero() {
		row("time", e.Time.UTC().Format(time.RFC3339Nano))
	}
	row("datacontenttype", e.DataContentType)
	row("dataschema", e.DataSchema)
	for _, name := range sortedKeys(e.Extensions) {
		row(name, e.Extensions[name].String())
	}
	if err := table.Flush(); err != nil {
		return wrapWrite(err)
	}
	if e.Data != nil {
		out.WriteString("\n" + shownData(e.Data) + "\n")
	}
	_, err := w.Write(out.Bytes())
	return wrapWrite(err)
}

// shownData is an event's data in full for people.
func shownData(data []byte) string {
	var indented bytes.Buffer
	switch {
	case !utf8.Valid(data):
		return fmt.Sprintf("(%d bytes that are not text; --output json has them)", len(data))
	case json.Indent(&indented, data, "", "  ") == nil:
		data = indented.Bytes()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// counted is a number of things in words: "1 line", "2 lines". Without many it is one with an s.
func counted[N ~int | ~uint64](n N, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// writeJSON writes one value: indented as json, on one line as jsonl.
func (a *app) writeJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	if a.output == outputJSON {
		encoder.SetIndent("", "  ")
	}
	return wrapWrite(encoder.Encode(v))
}
