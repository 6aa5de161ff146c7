package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) kvCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Put, get and watch keys",
		Long: `Keys and their values, in buckets. Every change is an event in the stream kv/BUCKET
too. The bucket "default" is made by its first put.`,
	}
	a.group(cmd)
	cmd.AddCommand(
		a.kvPutCommand(), a.kvGetCommand(), a.kvDeleteCommand(), a.kvListCommand(), a.kvHistoryCommand(),
		a.kvWatchCommand(), a.kvTxnCommand(), a.kvBucketCommand(),
	)
	return cmd
}

const defaultBucket = "default"

func registerBucket(flags *pflag.FlagSet, bucket *string) {
	flags.StringVarP(bucket, "bucket", "b", defaultBucket, "the bucket of the keys")
}

// keyFreshness are the flags that say how fresh a read of keys is to be.
type keyFreshness struct {
	consistency string
	options     client.KeyReadOptions
}

func (f *keyFreshness) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.consistency, "consistency", "linearizable", "linearizable, to see all that was acknowledged before, or stale")
	flags.Uint64Var((*uint64)(&f.options.MinPosition), "min-position", 0, "wait until the node has this position, such as the revision of an own put, and no longer")
}

func (f *keyFreshness) parse() (client.KeyReadOptions, error) {
	c, err := parseConsistency(f.consistency)
	o := f.options
	o.Stale = c == client.Stale
	return o, err
}

// entryJSON is an entry as JSON. The value is JSON where the content type says so, else
// text where it is that, else base64.
type entryJSON struct {
	Key         string          `json:"key,omitempty"`
	Kind        string          `json:"kind"`
	Value       json.RawMessage `json:"value,omitempty"`
	ValueBase64 []byte          `json:"value_base64,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Revision    event.Position  `json:"revision,string"`
	Created     event.Position  `json:"created,omitempty,string"`
	Time        time.Time       `json:"time"`
	Expires     *time.Time      `json:"expires,omitempty"`
}

func newEntryJSON(e client.KeyEntry) entryJSON {
	j := entryJSON{
		Key: e.Key, Kind: e.Kind.String(), ContentType: e.ContentType, Revision: e.Revision, Created: e.Created, Time: e.Stamp,
	}
	switch {
	case e.Kind != client.KeyPut:
	case isJSON(e.ContentType) && json.Valid(e.Value):
		j.Value = e.Value
	case utf8.Valid(e.Value):
		j.Value, _ = appendJSONLine(nil, string(e.Value)) // a string always can be
	default:
		j.ValueBase64 = e.Value
	}
	if !e.Expires.IsZero() {
		j.Expires = &e.Expires
	}
	return j
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// appendEntryLine is an entry on one line for people.
func appendEntryLine(b []byte, e client.KeyEntry) []byte {
	b = fmt.Appendf(b, "%d  %s  %s  %s", e.Revision, formatTime(e.Stamp), e.Kind, printable(e.Key))
	if e.Kind != client.KeyPut {
		return b
	}
	if e.Value == nil {
		e.Value = []byte{} // there, of no bytes
	}
	b = fmt.Appendf(b, "  %s", preview(bytes.TrimSuffix(e.Value, []byte("\n"))))
	if !e.Expires.IsZero() {
		b = fmt.Appendf(b, "  (expires %s)", formatTime(e.Expires))
	}
	return b
}

// valueFrom returns what an argument stands for: itself, or with a dash what is on
// standard input; or what is in a file.
func (a *app) valueFrom(args []string, file string) ([]byte, error) {
	switch {
	case (len(args) > 0) == (file != ""):
		return nil, usagef("the value: give it behind the key, - for standard input, or --file")
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the value: %w", err)
		}
		return b, nil
	case args[0] != "-":
		return []byte(args[0]), nil
	}
	return a.readInput("the value")
}

// readInput reads standard input, up to more than any commit may have.
func (a *app) readInput(what string) ([]byte, error) {
	const most = 8 << 20
	b, err := io.ReadAll(io.LimitReader(a.stdin, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if len(b) > most {
		return nil, event.TooLarge(what+" in bytes", int64(len(b)), most)
	}
	return b, nil
}

// writeRevision says what a change did.
func (a *app) writeRevision(key string, revision event.Position, text string) error {
	if a.output != outputText {
		return a.writeJSON(struct {
			Key      string         `json:"key"`
			Revision event.Position `json:"revision,string"`
		}{key, revision})
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}

// writeEntries writes a list of entries that is not long.
func (a *app) writeEntries(list []client.KeyEntry) error {
	out := newListWriter(a.stdout, a.output)
	for _, e := range list {
		if err := writeEntry(out, e); err != nil {
			return err
		}
	}
	return out.close()
}

func writeEntry(out *listWriter, e client.KeyEntry) error {
	return out.item(
		func(b []byte) ([]byte, error) { return appendEntryLine(b, e), nil },
		func(b []byte) ([]byte, error) { return appendJSONLine(b, newEntryJSON(e)) },
	)
}
