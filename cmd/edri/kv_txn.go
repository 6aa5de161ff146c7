package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) kvTxnCommand() *cobra.Command {
	var bucket string
	cmd := &cobra.Command{
		Use:   "txn [FILE]",
		Short: "Change several keys together, if conditions hold",
		Long: `Execute a transaction, as JSON from a file or standard input, as one change: "then" if
all conditions of "if" hold, else "else". Without "else", conditions that do not hold end
with exit code 4.

  {"if":   [{"key":"a","revision":7}, {"key":"b","exists":false}, {"key":"c","value":"x"}],
   "then": [{"put":{"key":"b","value":"1","ttl":"1m","content_type":"text/plain"}},
            {"delete":{"key":"a","revision":7,"purge":true}}],
   "else": [{"get":{"key":"a"}}]}

A value that is not text is given as value_base64. Each part may name a "bucket"; else it
is that of --bucket.`,
		Example: `  edri kv txn move.json
  echo '{"then":[{"put":{"key":"a","value":"1"}},{"put":{"key":"b","value":"1"}}]}' | edri kv txn`,
		Args: cobra.MaximumNArgs(1),
	}
	registerBucket(cmd.Flags(), &bucket)
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		text, err := a.transactionText(args)
		if err != nil {
			return err
		}
		t, err := parseTransaction(text, bucket)
		if err != nil {
			return err
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			done, err := c.Txn(ctx, t)
			if err != nil {
				return err
			}
			failed := !done.Succeeded && len(t.Otherwise) == 0
			if !failed || a.output != outputText { // else the error says it all
				if err := a.writeTransaction(done); err != nil {
					return err
				}
			}
			if failed {
				return event.Errorf(event.CodeCheckFailed, "the conditions do not hold; nothing was done")
			}
			return nil
		})
	})
	return cmd
}

func (a *app) transactionText(args []string) ([]byte, error) {
	if len(args) == 0 || args[0] == "-" {
		return a.readInput("the transaction")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return nil, fmt.Errorf("read the transaction: %w", err)
	}
	return b, nil
}

type transactionJSON struct {
	If   []conditionJSON `json:"if"`
	Then []stepJSON      `json:"then"`
	Else []stepJSON      `json:"else"`
}

type conditionJSON struct {
	keyJSON
	Exists *bool `json:"exists"`
	valueJSON
}

type stepJSON struct {
	Put    *putJSON    `json:"put"`
	Delete *deleteJSON `json:"delete"`
	Get    *keyJSON    `json:"get"`
}

type keyJSON struct {
	Bucket   string          `json:"bucket"`
	Key      string          `json:"key"`
	Revision *event.Position `json:"revision"`
}

type valueJSON struct {
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64"`
}

type putJSON struct {
	keyJSON
	valueJSON
	ContentType string  `json:"content_type"`
	TTL         *string `json:"ttl"`
}

type deleteJSON struct {
	keyJSON
	Purge bool `json:"purge"`
}

func parseTransaction(text []byte, bucket string) (client.KeyTxn, error) {
	var j transactionJSON
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return client.KeyTxn{}, usagef("the transaction: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return client.KeyTxn{}, usagef("the transaction: something follows the object")
	}
	var t client.KeyTxn
	for i, c := range j.If {
		condition, err := c.parse(bucket)
		if err != nil {
			return t, usagef("if[%d]: %w", i, err)
		}
		t.If = append(t.If, condition)
	}
	var err error
	if t.Then, err = parseSteps("then", j.Then, bucket); err != nil {
		return t, err
	}
	t.Otherwise, err = parseSteps("else", j.Else, bucket)
	return t, err
}

func (k keyJSON) in(bucket string) string {
	if k.Bucket != "" {
		return k.Bucket
	}
	return bucket
}

func (v valueJSON) bytes() []byte {
	if v.Value != nil {
		return []byte(*v.Value)
	}
	return v.ValueBase64
}

func (v valueJSON) given() bool { return v.Value != nil || v.ValueBase64 != nil }

func (c conditionJSON) parse(bucket string) (client.KeyCondition, error) {
	given := 0
	for _, is := range []bool{c.Revision != nil, c.Exists != nil, c.given()} {
		if is {
			given++
		}
	}
	switch bucket = c.in(bucket); {
	case given != 1:
		return client.KeyCondition{}, errors.New("give one of revision, exists and value")
	case c.Revision != nil:
		return client.KeyAt(bucket, c.Key, *c.Revision), nil
	case c.Exists != nil:
		return client.KeyExists(bucket, c.Key, *c.Exists), nil
	}
	return client.KeyHas(bucket, c.Key, c.bytes()), nil
}

func parseSteps(name string, list []stepJSON, bucket string) ([]client.KeyStep, error) {
	var steps []client.KeyStep
	for i, s := range list {
		step, err := s.parse(bucket)
		if err != nil {
			return nil, usagef("%s[%d]: %w", name, i, err)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (s stepJSON) parse(bucket string) (client.KeyStep, error) {
	switch {
	case s.Put != nil && s.Delete == nil && s.Get == nil:
		o := client.PutOptions{ContentType: s.Put.ContentType, Expected: s.Put.Revision}
		if s.Put.TTL != nil {
			var err error
			if o.TTL, err = time.ParseDuration(*s.Put.TTL); err != nil || o.TTL < 0 {
				return client.KeyStep{}, fmt.Errorf("ttl %q: is not how long, such as 90s", *s.Put.TTL)
			}
			if o.TTL == 0 {
				o.TTL = client.NoTTL
			}
		}
		return client.PutKey(s.Put.in(bucket), s.Put.Key, s.Put.bytes(), o), nil
	case s.Delete != nil && s.Put == nil && s.Get == nil:
		return client.DeleteKey(s.Delete.in(bucket), s.Delete.Key, client.DeleteOptions{Expected: s.Delete.Revision, Purge: s.Delete.Purge}), nil
	case s.Get != nil && s.Put == nil && s.Delete == nil:
		return client.GetKey(s.Get.in(bucket), s.Get.Key), nil
	}
	return client.KeyStep{}, errors.New("give one of put, delete and get")
}

// stepResultJSON is what a step changed, or what a get found; null: nothing.
type stepResultJSON struct {
	Revision event.Position `json:"revision,omitempty,string"`
	Previous event.Position `json:"previous,omitempty,string"`
	Entry    *entryJSON     `json:"entry,omitempty"`
}

func (a *app) writeTransaction(r client.KeyTxnResult) error {
	if a.output != outputText {
		results := make([]stepResultJSON, len(r.Steps))
		for i, s := range r.Steps {
			results[i] = stepResultJSON{Revision: s.Revision, Previous: s.Previous}
			if s.Entry != nil {
				e := newEntryJSON(*s.Entry)
				results[i].Entry = &e
			}
		}
		return a.writeJSON(struct {
			Succeeded bool             `json:"succeeded"`
			Results   []stepResultJSON `json:"results"`
		}{r.Succeeded, results})
	}
	var b strings.Builder
	fmt.Fprintln(&b, map[bool]string{true: "the conditions hold", false: "the conditions do not hold"}[r.Succeeded])
	for _, s := range r.Steps {
		switch {
		case s.Entry != nil:
			b.Write(appendEntryLine(nil, *s.Entry))
			b.WriteByte('\n')
		case s.Revision != 0:
			fmt.Fprintf(&b, "revision %d\n", s.Revision)
		default:
			fmt.Fprintln(&b, "not there")
		}
	}
	_, err := io.WriteString(a.stdout, b.String())
	return wrapWrite(err)
}
