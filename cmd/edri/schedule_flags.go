package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
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

func (f *timesFlags) parse() (client.ScheduleSpec, error) {
	s := f.spec
	if !f.given() {
		return s, usagef("one of --cron, --every and --at is required")
	}
	now := time.Now()
	for _, t := range []struct {
		flag, text string
		dst        *time.Time
	}{{"at", f.at, &s.At}, {"start", f.start, &s.Start}, {"end", f.end, &s.End}} {
		var err error
		if *t.dst, err = parseAhead(t.flag, t.text, now); err != nil {
			return s, err
		}
	}
	return s, nil
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

// scheduleFlags are the flags that make up a schedule.
type scheduleFlags struct {
	timesFlags
	eventFlags
	overlap, catchUp string
	request          bool
	within           time.Duration
}

func (f *scheduleFlags) register(cmd *cobra.Command) {
	f.timesFlags.register(cmd)
	f.eventFlags.register(cmd)
	flags, s := cmd.Flags(), &f.spec
	_ = flags.MarkHidden("id") // each fire has its own
	flags.DurationVar(&s.Jitter, "jitter", 0, "delay each fire by up to so much; which follows from the schedule and the time alone")
	flags.Uint64Var(&s.Limit, "limit", 0, "end after so many fires; 0 for never")
	flags.BoolVar(&f.request, "request", false, "send a request instead of appending an event")
	flags.DurationVar(&f.within, "within", client.DefaultRequestTimeout, "how long the response to a request is awaited")
	flags.StringVar(&f.overlap, "overlap", client.OverlapDefault.String(), "when it fires while a request of it is open: skip, buffer-one, buffer-all, cancel-other or allow")
	flags.StringVar(&f.catchUp, "catch-up", client.CatchUpLast.String(), "which fires are made up for that were late by more than 10s: none, last or all")
	flags.IntVar(&s.CatchUpCap, "catch-up-cap", 0, "with --catch-up all the newest so many; default 100")
	flags.DurationVar(&s.CatchUpWindow, "catch-up-window", 0, "make up only for fires that are at most so late; 0 for any")
	flags.StringVar(&s.Description, "description", "", "what it is for")
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions([]string{"skip", "buffer-one", "buffer-all", "cancel-other", "allow"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("catch-up", cobra.FixedCompletions([]string{"none", "last", "all"}, cobra.ShellCompDirectiveNoFileComp))                                      // the flag is there
}

// parse returns the schedule that the flags describe.
func (f *scheduleFlags) parse(a *app, cmd *cobra.Command) (client.ScheduleSpec, error) {
	s, err := f.timesFlags.parse()
	if err != nil {
		return s, err
	}
	if cmd.Flags().Changed("id") {
		return s, usagef("--id: each fire gives its event an id of its own")
	}
	f.hasData = cmd.Flags().Changed("data")
	e, err := a.eventFrom(f.eventFlags)
	if err != nil {
		return s, err
	}
	if e.ID = ""; !cmd.Flags().Changed("source") {
		e.Source = ""
	}
	s.Action = client.ScheduleAction{Stream: f.stream, Event: e, Request: f.request}
	if f.request {
		s.Action.Timeout = f.within
	}
	if s.Overlap, err = client.ParseOverlap(f.overlap); err != nil {
		return s, usagef("--%w", err)
	}
	if s.CatchUp, err = client.ParseCatchUp(f.catchUp); err != nil {
		return s, usagef("--%w", err)
	}
	return s, nil
}
