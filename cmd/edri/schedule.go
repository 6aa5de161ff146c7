package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		Aliases: []string{"schedules"},
		Short:   "Append events, send requests and change keys at times",
	}
	a.group(cmd)
	cmd.AddCommand(
		a.scheduleCreateCommand(), a.scheduleListCommand(), a.scheduleShowCommand(), a.scheduleUpdateCommand(), a.schedulePauseCommand(),
		a.scheduleResumeCommand(), a.scheduleTriggerCommand(), a.scheduleBackfillCommand(), a.schedulePreviewCommand(),
		a.scheduleRemoveCommand(),
	)
	return cmd
}

// scheduleJSON is a schedule as JSON; durations as Go writes them, counts that may be
// large as decimal strings.
type scheduleJSON struct {
	Name          string     `json:"name"`
	State         string     `json:"state"`
	Note          string     `json:"note,omitempty"`
	Cron          string     `json:"cron,omitempty"`
	Every         string     `json:"every,omitempty"`
	At            *time.Time `json:"at,omitempty"`
	Zone          string     `json:"zone,omitempty"`
	ExcludeDates  []string   `json:"exclude_dates,omitempty"`
	ExcludeCron   []string   `json:"exclude_cron,omitempty"`
	Jitter        string     `json:"jitter,omitempty"`
	Start         *time.Time `json:"start,omitempty"`
	End           *time.Time `json:"end,omitempty"`
	Limit         uint64     `json:"limit,omitempty,string"`
	Overlap       string     `json:"overlap"`
	CatchUp       string     `json:"catch_up"`
	CatchUpCap    int        `json:"catch_up_cap,omitempty"`
	CatchUpWindow string     `json:"catch_up_window,omitempty"`
	Description   string     `json:"description,omitempty"`
	Action        actionJSON `json:"action"`
	Incarnation   uint64     `json:"incarnation,string"`
	Revision      uint64     `json:"revision,string"`
	Created       time.Time  `json:"created"`
	Next          *time.Time `json:"next,omitempty"`
	Due           *time.Time `json:"due,omitempty"`
	Left          uint64     `json:"left,omitempty,string"`
	Fired         uint64     `json:"fired,string"`
	Skipped       uint64     `json:"skipped,string"`
	Missed        uint64     `json:"missed,string"`
	Late          uint64     `json:"late,string"`
	Failed        uint64     `json:"failed,string"`
	Running       int        `json:"running"`
	Buffered      int        `json:"buffered"`
}

type actionJSON struct {
	Do      string `json:"do"`
	Type    string `json:"type,omitempty"`
	Stream  string `json:"stream,omitempty"`
	Source  string `json:"source,omitempty"`
	Subject string `json:"subject,omitempty"`
	Data    string `json:"data,omitempty"`
	Timeout string `json:"timeout,omitempty"`
	// Of a run that is started.
	Workflow string `json:"workflow,omitempty"`
	Run      string `json:"run,omitempty"`
	// What a transaction asks and does, in words.
	If   []string `json:"if,omitempty"`
	Then []string `json:"then,omitempty"`
	Else []string `json:"else,omitempty"`
}

func newActionJSON(a client.ScheduleAction) actionJSON {
	if s := a.Start; s != nil {
		return actionJSON{Do: actionText(a), Workflow: s.Type, Run: s.ID, Data: string(s.Input), Timeout: durationText(s.Timeout)}
	}
	if t := a.Keys; t != nil {
		return actionJSON{Do: actionText(a), If: texts(t.If), Then: texts(t.Then), Else: texts(t.Otherwise)}
	}
	e := a.Event
	return actionJSON{
		Do: actionText(a), Type: e.Type, Stream: a.Stream, Source: e.Source, Subject: e.Subject,
		Data: string(e.Data), Timeout: durationText(a.Timeout),
	}
}

// texts are what people read of a list.
func texts[T fmt.Stringer](list []T) []string {
	var all []string
	for _, x := range list {
		all = append(all, x.String())
	}
	return all
}

func newScheduleJSON(s client.Schedule) scheduleJSON {
	spec := s.Spec
	return scheduleJSON{
		Name: s.Name, State: scheduleState(s), Note: s.Note,
		Cron: spec.Cron, Every: durationText(spec.Every), At: timeOrNil(spec.At), Zone: spec.Zone,
		ExcludeDates: spec.ExcludeDates, ExcludeCron: spec.ExcludeCron, Jitter: durationText(spec.Jitter),
		Start: timeOrNil(spec.Start), End: timeOrNil(spec.End), Limit: spec.Limit,
		Overlap: spec.Overlap.String(), CatchUp: spec.CatchUp.String(), CatchUpCap: spec.CatchUpCap,
		CatchUpWindow: durationText(spec.CatchUpWindow), Description: spec.Description,
		Action:      newActionJSON(spec.Action),
		Incarnation: s.Incarnation, Revision: s.Revision, Created: s.Created, Next: timeOrNil(s.Next), Due: timeOrNil(s.Due),
		Left: s.Left, Fired: s.Fired, Skipped: s.Skipped, Missed: s.Missed, Late: s.Late, Failed: s.Failed,
		Running: s.Running, Buffered: s.Buffered,
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// durationText is a duration as Go writes it, empty for none.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func actionText(a client.ScheduleAction) string {
	switch {
	case a.Start != nil:
		return "start"
	case a.Keys != nil:
		return "keys"
	case a.Request:
		return "request"
	}
	return "append"
}

// scheduleState is how a schedule is in one word.
func scheduleState(s client.Schedule) string {
	switch {
	case s.Ended:
		return "ended"
	case s.Paused:
		return "paused"
	}
	return "active"
}

// timesText says in short when a schedule fires.
func timesText(s client.ScheduleSpec) string {
	switch {
	case s.Every != 0:
		return "every " + s.Every.String()
	case !s.At.IsZero():
		return "at " + formatTime(s.At)
	case s.Zone != "":
		return s.Cron + " " + s.Zone
	}
	return s.Cron
}

// nextText is the next time of a schedule.
func nextText(s client.Schedule) string {
	if s.Next.IsZero() {
		return "-"
	}
	return formatTime(s.Next)
}

// writeScheduleChanged says what a schedule is after a change: a line for people, all of
// it for programs.
func (a *app) writeScheduleChanged(s client.Schedule, text string) error {
	if a.output != outputText {
		return a.writeJSON(newScheduleJSON(s))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}
