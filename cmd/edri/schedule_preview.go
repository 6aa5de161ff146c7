package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) schedulePreviewCommand() *cobra.Command {
	var f timesFlags
	var count int
	var after string
	cmd := &cobra.Command{
		Use:   "preview [NAME]",
		Short: "Show the next times of a schedule, or of one that is not made yet",
		Example: `  edri schedule preview report --count 5
  edri schedule preview --cron '30 2 * * *' --zone Europe/Berlin --after 2026-03-27T00:00:00Z`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if (len(args) == 1) == f.given() {
			return usagef("a preview is of a schedule or of --cron, --every or --at")
		}
		from, err := parseAhead("after", after, time.Now())
		if err != nil {
			return err
		}
		// What it would do does not matter.
		spec := client.ScheduleSpec{Action: client.ScheduleAction{Event: event.Event{Type: "preview", Source: defaultSource}}}
		if err := f.change(cmd, &spec); err != nil {
			return err
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			var times []time.Time
			if len(args) == 1 {
				times, err = c.PreviewSchedule(ctx, args[0], from, count)
			} else {
				times, err = c.PreviewSpec(ctx, spec, from, count)
			}
			if err != nil {
				return err
			}
			return a.writeTimes(times, spec.Zone)
		})
	})
	f.register(cmd)
	cmd.Flags().IntVar(&count, "count", 10, "how many, 1 to 1,000")
	cmd.Flags().StringVar(&after, "after", "", "times after this one, in RFC 3339 or as a duration from now; default now")
	return cmd
}

// writeTimes writes times, for people with what clocks show in the zone.
func (a *app) writeTimes(times []time.Time, zone string) error {
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC // the server knows it, this machine does not
	}
	out := newListWriter(a.stdout, a.output)
	for _, t := range times {
		err := out.item(
			func(b []byte) ([]byte, error) {
				b = append(b, formatTime(t)...)
				if zone != "" {
					b = append(append(b, "  "...), t.In(location).Format("Mon 2006-01-02 15:04:05 MST")...)
				}
				return b, nil
			},
			func(b []byte) ([]byte, error) { return appendJSONLine(b, t) },
		)
		if err != nil {
			return err
		}
	}
	return out.close()
}
