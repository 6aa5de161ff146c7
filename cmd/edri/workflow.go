package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func (a *app) workflowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "workflow",
		Aliases: []string{"workflows", "wf"},
		Short:   "Start runs of workflows, look at them and change them",
		Long: `Runs of workflows. RUN is the id of a run, which means the last run of the id, or
ID/NUMBER, which is that run alone. An id that ends like that is taken as an id first.`,
	}
	a.group(cmd)
	cmd.AddCommand(
		a.workflowStartCommand(), a.workflowListCommand(), a.workflowShowCommand(), a.workflowHistoryCommand(),
		a.workflowSignalCommand(), a.workflowQueryCommand(), a.workflowUpdateCommand(), a.workflowCancelCommand(),
		a.workflowTerminateCommand(), a.workflowPauseCommand(), a.workflowResumeCommand(), a.workflowResetCommand(),
		a.workflowRetryCommand(), a.workflowRemoveCommand(), a.workflowWaitCommand(), a.workflowCheckCommand(),
		a.workflowDefinitionsCommand(),
	)
	return cmd
}

// runJSON is a run as JSON.
type runJSON struct {
	ID          string           `json:"id"`
	Number      uint64           `json:"number,string"`
	Type        string           `json:"type"`
	Version     uint32           `json:"version"`
	Status      workflows.Status `json:"status"`
	Paused      bool             `json:"paused,omitempty"`
	Note        string           `json:"note,omitempty"`
	Started     time.Time        `json:"started"`
	Ended       *time.Time       `json:"ended,omitempty"`
	Advance     uint64           `json:"advance,string"`
	Events      uint64           `json:"events,string"`
	Attributes  map[string]any   `json:"attributes,omitempty"`
	Memo        json.RawMessage  `json:"memo,omitempty"`
	Correlation string           `json:"correlation,omitempty"`
	Result      json.RawMessage  `json:"result,omitempty"`
	Error       *workflows.Error `json:"error,omitempty"`
	Parent      string           `json:"parent,omitempty"`
	First       uint64           `json:"first,omitempty,string"`
	Next        uint64           `json:"next,omitempty,string"`
	Unread      uint64           `json:"unread,omitempty,string"`
	Busy        bool             `json:"busy,omitempty"`
	Worker      string           `json:"worker,omitempty"`
	Open        []openJSON       `json:"open,omitempty"`
}

type openJSON struct {
	Kind string     `json:"kind"`
	Seq  uint64     `json:"seq,omitempty"`
	Due  *time.Time `json:"due,omitempty"`
	What string     `json:"what,omitempty"`
}

func newRunJSON(r client.Run) runJSON {
	j := runJSON{
		ID: r.ID, Number: r.Number, Type: r.Type, Version: r.Version, Status: r.Status, Paused: r.Paused, Note: r.Note,
		Started: r.Started, Ended: timeOrNil(r.Ended), Advance: r.Advance, Events: r.Events, Attributes: r.Attributes,
		Memo: r.Memo, Correlation: r.Correlation, Result: r.Result, Error: r.Err, Parent: r.Parent, First: r.First,
		Next: r.Next, Unread: r.Unread, Busy: r.Busy, Worker: r.Worker,
	}
	for _, o := range r.Open {
		j.Open = append(j.Open, openJSON{Kind: o.Kind, Seq: o.Seq, Due: timeOrNil(o.Due), What: o.What})
	}
	return j
}

// runName is ID/NUMBER.
func runName(r client.RunID) string { return fmt.Sprintf("%s/%d", printable(r.ID), r.Number) }

// statusText is how a run stands in one word.
func statusText(r client.Run) string {
	if r.Paused {
		return "paused"
	}
	return string(r.Status)
}

// runAt returns the run that an argument names. Whether an id that ends in a number is meant
// as it stands is asked.
func runAt(ctx context.Context, c *client.Client, text string) (client.RunID, error) {
	id, digits, ok := cutLast(text, "/")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || number == 0 {
		return client.RunID{ID: text}, nil
	}
	_, err = c.Run(ctx, client.RunID{ID: text}, client.Linearizable)
	if event.CodeOf(err) == event.CodeNotFound {
		return client.RunID{ID: id, Number: number}, nil
	}
	return client.RunID{ID: text}, err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i > 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// jsonFrom returns the JSON that a flag stands for: itself, with @ what is in a file, with a
// dash what is on standard input.
func (a *app) jsonFrom(flag, text string) ([]byte, error) {
	b := []byte(text)
	var err error
	switch name, isFile := strings.CutPrefix(text, "@"); {
	case text == "":
		return nil, nil
	case text == "-":
		b, err = a.readInput("--" + flag)
	case isFile:
		b, err = readJSONFile(flag, name)
	}
	if err == nil && !json.Valid(b) {
		err = usagef("--%s: is no JSON; a text stands in quotation marks, as '\"text\"'", flag)
	}
	return b, err
}

func readJSONFile(flag, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read --%s: %w", flag, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("read --%s: %w", flag, err)
	}
	return b, nil
}

// withRun calls f with a client and the run that an argument names. What f waits for has no
// limit but its own.
func (a *app) withRun(ctx context.Context, text string, f func(context.Context, *client.Client, client.RunID) error) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	run, err := runAt(ctx, c, text)
	if err != nil {
		return err
	}
	return f(ctx, c, run)
}

// runFailed is the error of a run that was waited for and did not complete.
type runFailed struct{ outcome client.RunOutcome }

func (e *runFailed) Error() string {
	o := e.outcome
	if o.Err == nil {
		return fmt.Sprintf("run %s: %s", runName(o.Run), o.Status)
	}
	return fmt.Sprintf("run %s: %s: %v", runName(o.Run), o.Status, o.Err)
}

// outcomeJSON is how a run ended, as JSON.
type outcomeJSON struct {
	ID     string           `json:"id"`
	Number uint64           `json:"number,string"`
	Status workflows.Status `json:"status"`
	Result json.RawMessage  `json:"result,omitempty"`
	Error  *workflows.Error `json:"error,omitempty"`
}

// writeOutcome writes how a run ended: its result for people, all for programs. One that did
// not complete is an error too.
func (a *app) writeOutcome(o client.RunOutcome) error {
	switch {
	case a.output != outputText:
		if err := a.writeJSON(outcomeJSON{o.Run.ID, o.Run.Number, o.Status, o.Result, o.Err}); err != nil {
			return err
		}
	case len(o.Result) > 0:
		if _, err := fmt.Fprintln(a.stdout, shownData(o.Result)); err != nil {
			return wrapWrite(err)
		}
	}
	if o.Status != workflows.Completed {
		return &runFailed{o}
	}
	return nil
}

// writeAnswer writes what a query or an update returned.
func (a *app) writeAnswer(result []byte) error {
	if len(result) == 0 {
		result = []byte("null")
	}
	if a.output == outputText {
		_, err := fmt.Fprintln(a.stdout, shownData(result))
		return wrapWrite(err)
	}
	return a.writeJSON(json.RawMessage(result))
}

// writeRunChanged says what was done to a run.
func (a *app) writeRunChanged(run client.RunID, done string) error {
	if a.output != outputText {
		return a.writeJSON(changedJSON{ID: run.ID, Number: run.Number, Done: done})
	}
	name := printable(run.ID)
	if run.Number != 0 {
		name = runName(run)
	}
	_, err := fmt.Fprintf(a.stdout, "run %s %s\n", name, done)
	return wrapWrite(err)
}

type changedJSON struct {
	ID     string `json:"id"`
	Number uint64 `json:"number,omitempty,string"`
	Done   string `json:"done,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (a *app) workflowDefinitionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "definitions",
		Short:   "List the workflows that are known",
		Example: `  edri workflow definitions`,
		Args:    cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				list, err := c.Definitions(ctx)
				if err != nil {
					return err
				}
				return a.writeDefinitions(list)
			})
		}),
	}
}

func (a *app) writeDefinitions(list []workflows.Definition) error {
	out := newListWriter(a.stdout, a.output)
	if a.output == outputText && len(list) > 0 {
		_, _ = fmt.Fprintf(out.out, "%-24s  %7s  %18s  %s\n", "NAME", "VERSION", "KEEPS", "ATTRIBUTES") // close tells of errors
	}
	for _, d := range list {
		keeps := cmp.Or(d.RetentionAge, 7*24*time.Hour)
		var attributes []string
		for _, name := range sortedKeys(d.Attributes) {
			attributes = append(attributes, fmt.Sprintf("%s (%s)", name, d.Attributes[name]))
		}
		err := out.item(
			func(b []byte) ([]byte, error) {
				return fmt.Appendf(b, "%-24s  %7d  %18s  %s", printable(d.Name), d.Version, keepsText(keeps, d.RetentionCount), strings.Join(attributes, ", ")), nil
			},
			func(b []byte) ([]byte, error) {
				return appendJSONLine(b, definitionJSON{d.Name, d.Version, d.Description, d.Attributes, keeps.String(), d.RetentionCount})
			},
		)
		if err != nil {
			return err
		}
	}
	return out.close()
}

// keepsText is how long runs are known after their end, and how many of them.
func keepsText(age time.Duration, count uint64) string {
	if count == 0 {
		return age.String()
	}
	return fmt.Sprintf("%v, %s", age, counted(count, "run"))
}

type definitionJSON struct {
	Name           string                             `json:"name"`
	Version        uint32                             `json:"version"`
	Description    string                             `json:"description,omitempty"`
	Attributes     map[string]workflows.AttributeType `json:"attributes,omitempty"`
	RetentionAge   string                             `json:"retention_age"`
	RetentionCount uint64                             `json:"retention_count,omitempty,string"`
}
