package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// AppendReport is what Append measured. Its JSON form is stable.
type AppendReport struct {
	EventBytes int     `json:"event_bytes"` // of data
	WireBytes  int     `json:"wire_bytes"`  // of the encoded event, as written by limit3
	Rounds     int     `json:"rounds"`
	Levels     []Level `json:"levels"`
}

// Level is the median of the rounds at one number of producers.
type Level struct {
	Producers int    `json:"producers"`
	Append    Figure `json:"append"`
	// Limit is what the disk itself allowed; absent if it was not measured.
	Limit *Figure `json:"limit3,omitempty"`
	// Ratio is the median of each round's append rate over its limit.
	Ratio float64 `json:"ratio,omitempty"`
	// Errors counts appends that failed, over all rounds.
	Errors int `json:"errors"`
	// FirstError is the first of them.
	FirstError string `json:"first_error,omitempty"`
}

// Figure is a rate with its latencies.
type Figure struct {
	PerSecond float64 `json:"per_second"`
	// P50 and P99 are in nanoseconds in JSON.
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// ReadReport is what Read measured.
type ReadReport struct {
	Rounds int `json:"rounds"`
	// Events and DataBytes are those of one scan.
	Events    uint64 `json:"events"`
	DataBytes uint64 `json:"data_bytes"`
	// Of the median round.
	Seconds        float64 `json:"seconds"`
	PerSecond      float64 `json:"per_second"`
	BytesPerSecond float64 `json:"bytes_per_second"`
}

// WriteText writes the report as a table for people.
func (r AppendReport) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "appends of %d bytes of data (%d encoded), medians of %d rounds\n", r.EventBytes, r.WireBytes, r.Rounds)
	fmt.Fprintln(tw, "producers\tevents/s\tp50\tp99\tlimit3/s\tp50\tp99\tratio\terrors\t")
	for _, l := range r.Levels {
		fmt.Fprintf(tw, "%d\t%.0f\t%s\t%s\t", l.Producers, l.Append.PerSecond, short(l.Append.P50), short(l.Append.P99))
		if l.Limit == nil {
			fmt.Fprintf(tw, "-\t-\t-\t-\t")
		} else {
			fmt.Fprintf(tw, "%.0f\t%s\t%s\t%.2f\t", l.Limit.PerSecond, short(l.Limit.P50), short(l.Limit.P99), l.Ratio)
		}
		fmt.Fprintf(tw, "%d\t\n", l.Errors)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, l := range r.Levels {
		if l.FirstError != "" {
			fmt.Fprintf(w, "first error at %d producers: %s\n", l.Producers, l.FirstError)
		}
	}
	return nil
}

// WriteJSON writes the report as one line of JSON.
func (r AppendReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteText writes the report for people.
func (r ReadReport) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "scan of %d events, %.1f MB of data: %.2f s, %.0f events/s, %.1f MB/s (median of %d rounds)\n",
		r.Events, float64(r.DataBytes)/1e6, r.Seconds, r.PerSecond, r.BytesPerSecond/1e6, r.Rounds)
	return err
}

// WriteJSON writes the report as one line of JSON.
func (r ReadReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// short rounds a latency to three figures or so.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}

// median returns the middle value, of two middle ones their mean; 0 of none.
func median[T ~float64 | ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// quantile returns the nearest-rank quantile q of sorted values.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}
