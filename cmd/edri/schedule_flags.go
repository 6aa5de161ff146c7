package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// timesFlags are the flags that say when a schedule fires.
type timesFlags struct {
	spec           client.ScheduleSpec
	at, start, end string
}

func (f *timesFlags) register(cmd *cobra.Command) {
	flags, s := cmd.Flags(), &f.spec
	flags.StringVar(&s.Cron, "cron", "", `cron expression of five fields, six with the second before them, or such as @daily`)
	flags.DurationVar(&s.Every, "every", 0, "time between fires, at least 1s")
	flags.StringVar(&f.at, "at", "", "the only time, in RFC 3339 or as a duration from now")
	flags.StringVar(&s.Zone, "zone", "", "IANA zone of --cron and of what is excluded, such as Europe/Berlin; default UTC")
	flags.StringArrayVar(&s.ExcludeDates, "exclude-dates", nil, "day on which it does not fire, such as 2026-12-24, or 2026-12-24/2026-12-31; may be repeated")
	flags.StringArrayVar(&s.ExcludeCron, "exclude-cron", nil, "cron expression at whose times it does not fire; may be repeated")
	flags.StringVar(&f.start, "start", "", "the earliest time, in RFC 3339 or as a duration from now")
	flags.StringVar(&f.end, "end", "", "the latest time, in RFC 3339 or as a duration from now")
	cmd.MarkFlagsMutuallyExclusive("cron", "every", "at")
}

// given reports whether the flags say when.
func (f *timesFlags) given() bool { return f.spec.Cron != "" || f.spec.Every != 0 || f.at != "" }

// change changes what flags were given of a spec.
func (f *timesFlags) change(cmd *cobra.Command, s *client.ScheduleSpec) error {
	changed := cmd.Flags().Changed
	if changed("cron") || changed("every") || changed("at") {
		s.Cron, s.Every, s.At = f.spec.Cron, f.spec.Every, time.Time{}
	}
	if changed("zone") {
		s.Zone = f.spec.Zone
	}
	if changed("exclude-dates") {
		s.ExcludeDates = unlessEmpty(f.spec.ExcludeDates)
	}
	if changed("exclude-cron") {
		s.ExcludeCron = unlessEmpty(f.spec.ExcludeCron)
	}
	now := time.Now()
	for _, t := range []struct {
		flag, text string
		dst        *time.Time
	}{{"at", f.at, &s.At}, {"start", f.start, &s.Start}, {"end", f.end, &s.End}} {
		if !changed(t.flag) {
			continue
		}
		var err error
		if *t.dst, err = parseAhead(t.flag, t.text, now); err != nil {
			return err
		}
	}
	return nil
}

// unlessEmpty is a list, none where its only text is empty: so a flag takes a list away.
func unlessEmpty(list []string) []string {
	if len(list) == 1 && list[0] == "" {
		return nil
	}
	return list
}

// parseAhead reads RFC 3339, or a duration that lies ahead of now.
func parseAhead(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.Year() > 1970 && t.Year() < 2200 {
		return t, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(d), nil
	}
	return time.Time{}, usagef("--%s %q: is neither RFC 3339, such as 2027-01-02T15:04:05Z, nor how long from now, such as 90m", flag, s)
}

// scheduleSource is where the events of schedules come from that name no source.
const scheduleSource = "/edri/schedules"

// scheduleFlags are the flags that make up a schedule.
type scheduleFlags struct {
	timesFlags
	eventFlags
	keysFlags
	runFlags
	overlap, catchUp string
	request          bool
	within           time.Duration
}

func (f *scheduleFlags) register(cmd *cobra.Command) {
	f.timesFlags.register(cmd)
	f.eventFlags.register(cmd)
	f.keysFlags.register(cmd)
	f.runFlags.register(cmd)
	flags, s := cmd.Flags(), &f.spec
	_ = flags.MarkHidden("id") // each fire has its own
	flags.Lookup("type").Usage = "type of the event"
	flags.Lookup("source").DefValue = scheduleSource // the cluster's, if none is given
	flags.DurationVar(&s.Jitter, "jitter", 0, "delay each fire by up to so much; which follows from the schedule and the time alone")
	flags.Uint64Var(&s.Limit, "limit", 0, "end after so many fires; 0 for never")
	flags.BoolVar(&f.request, "request", false, "send a request instead of appending an event")
	flags.DurationVar(&f.within, "within", client.DefaultRequestTimeout, "how long the response to a request is awaited")
	flags.StringVar(&f.overlap, "overlap", overlapText(client.OverlapDefault), "when it fires while a request or run of it is open: skip, buffer-one, buffer-all, cancel-other or allow")
	flags.StringVar(&f.catchUp, "catch-up", client.CatchUpLast.String(), "which fires are made up for that were late by more than 10s: none, last or all")
	flags.IntVar(&s.CatchUpCap, "catch-up-cap", 0, "with --catch-up all the newest so many; default 100")
	flags.DurationVar(&s.CatchUpWindow, "catch-up-window", 0, "make up only for fires that are at most so late; 0 for any")
	flags.StringVar(&s.Description, "description", "", "what it is for")
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions([]string{"skip", "buffer-one", "buffer-all", "cancel-other", "allow"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("catch-up", cobra.FixedCompletions([]string{"none", "last", "all"}, cobra.ShellCompDirectiveNoFileComp))                                      // the flag is there
}

// change changes what flags were given of a spec: all of it, in one that is new.
func (f *scheduleFlags) change(a *app, cmd *cobra.Command, s *client.ScheduleSpec) error {
	if err := f.timesFlags.change(cmd, s); err != nil {
		return err
	}
	changed := cmd.Flags().Changed
	for flag, set := range map[string]func(){
		"jitter":          func() { s.Jitter = f.spec.Jitter },
		"limit":           func() { s.Limit = f.spec.Limit },
		"catch-up-cap":    func() { s.CatchUpCap = f.spec.CatchUpCap },
		"catch-up-window": func() { s.CatchUpWindow = f.spec.CatchUpWindow },
		"description":     func() { s.Description = f.spec.Description },
	} {
		if changed(flag) {
			set()
		}
	}
	var err error
	if changed("overlap") {
		if s.Overlap, err = client.ParseOverlap(f.overlap); err != nil {
			return badFlag(err)
		}
	}
	if changed("catch-up") {
		if s.CatchUp, err = client.ParseCatchUp(f.catchUp); err != nil {
			return badFlag(err)
		}
	}
	return f.changeAction(a, cmd, &s.Action)
}

// badFlag is the usage error of a value that the client refuses; its message begins with what
// the flag has for a name.
func badFlag(err error) error {
	var refused *event.Error
	if errors.As(err, &refused) {
		return usagef("--%s", refused.Message)
	}
	return usagef("%w", err)
}

// ofEvents are the flags that describe an action that has an event.
var ofEvents = []string{
	"type", "stream", "subject", "source", "data", "data-file", "content-type", "extension", "correlation", "request", "within",
}

func (f *scheduleFlags) changeAction(a *app, cmd *cobra.Command, action *client.ScheduleAction) error {
	changed := cmd.Flags().Changed
	if changed("id") {
		return usagef("--id: each fire gives its event an id of its own")
	}
	event := ""
	for _, flag := range ofEvents {
		if changed(flag) {
			event = flag
			break
		}
	}
	keys, err := f.keysFlags.parse(a, cmd)
	start := f.runFlags.parse()
	switch {
	case err != nil:
		return err
	case start != nil && (keys != nil || event != ""):
		return usagef("--start-workflow goes with no event and no keys")
	case start != nil:
		*action = client.ScheduleAction{Start: start}
		return nil
	case keys != nil && event != "":
		return usagef("--%s is of an event, and the schedule changes keys", event)
	case keys != nil:
		*action = client.ScheduleAction{Keys: keys}
		return nil
	case event == "":
		return nil
	}
	action.Keys, action.Start = nil, nil
	if changed("stream") {
		action.Stream = f.stream
	}
	if changed("request") {
		action.Request = f.request
	}
	switch {
	case !action.Request:
		action.Timeout = 0
	case changed("within") || action.Timeout == 0:
		action.Timeout = f.within
	}
	return a.changeEvent(cmd, f.eventFlags, &action.Event)
}

// changeEvent changes what flags were given of an event.
func (a *app) changeEvent(cmd *cobra.Command, f eventFlags, e *event.Event) error {
	changed := cmd.Flags().Changed
	for _, x := range []struct {
		flag, text string
		dst        *string
	}{
		{"type", f.event.Type, &e.Type}, {"subject", f.event.Subject, &e.Subject},
		{"source", f.event.Source, &e.Source}, {"content-type", f.event.DataContentType, &e.DataContentType},
	} {
		if changed(x.flag) {
			*x.dst = x.text
		}
	}
	if e.Type == "" {
		return usagef("--type is required")
	}
	if e.Extensions == nil {
		e.Extensions = map[string]event.Value{}
	}
	if err := f.addExtensions(e); err != nil {
		return err
	}
	if f.hasData = changed("data"); !f.hasData && !changed("data-file") {
		return nil
	}
	var err error
	if e.Data, err = a.readData(f); err != nil {
		return err
	}
	if !changed("content-type") {
		e.DataContentType = contentType(e.Data)
	}
	if err := event.CheckData(e.DataContentType, e.Data); err != nil {
		return &usageError{err}
	}
	return nil
}

// runFlags are the flags that describe a run that is started.
type runFlags struct{ workflow, id, input string }

func (f *runFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.workflow, "start-workflow", "", "start a run of this workflow at each fire, whose end is that of the fire")
	flags.StringVar(&f.id, "run-id", "", "id of the runs, of which one is under way at a time; default: the schedule's name and the fire's id")
	flags.StringVar(&f.input, "input", "", "input of the runs, JSON")
}

// parse returns what the flags describe, nil if they were not given.
func (f *runFlags) parse() *workflows.Start {
	if f.workflow == "" {
		return nil
	}
	return &workflows.Start{ID: f.id, Type: f.workflow, Input: []byte(f.input)}
}

// keysFlags are the flags that describe a change of keys.
type keysFlags struct {
	bucket, file string
	puts         []string
}

func (f *keysFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	registerBucket(flags, &f.bucket)
	flags.StringArrayVar(&f.puts, "put", nil, "set a key, as KEY=VALUE, instead of appending an event; may be repeated")
	flags.StringVar(&f.file, "txn", "", `execute the transaction in this file, as for "edri kv txn", instead of appending an event; - for standard input`)
	cmd.MarkFlagsMutuallyExclusive("put", "txn")
}

// parse returns the transaction that the flags describe, nil for none.
func (f *keysFlags) parse(a *app, cmd *cobra.Command) (*client.KeyTxn, error) {
	changed := cmd.Flags().Changed
	switch {
	case changed("txn"):
		text, err := a.transactionText([]string{f.file})
		if err != nil {
			return nil, err
		}
		t, err := parseTransaction(text, f.bucket)
		return &t, err
	case changed("put"):
		t := &client.KeyTxn{}
		for _, put := range f.puts {
			key, value, ok := strings.Cut(put, "=")
			if !ok || key == "" {
				return nil, usagef("--put %q: is not KEY=VALUE", put)
			}
			t.Then = append(t.Then, client.PutKey(f.bucket, key, []byte(value), client.PutOptions{}))
		}
		return t, nil
	case changed("bucket"):
		return nil, usagef("--bucket is for --put and --txn")
	}
	return nil, nil
}
