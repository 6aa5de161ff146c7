package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// DeliverReport is what Deliver measured. Its JSON form is stable.
type DeliverReport struct {
	EventBytes int          `json:"event_bytes"` // of data
	Rounds     int          `json:"rounds"`
	Drains     []Drain      `json:"drains"`
	Live       Live         `json:"live"`
	Request    RequestLevel `json:"request"`
}

// Drain is the median of the rounds at one number of credits.
type Drain struct {
	Credits int `json:"credits"`
	// Append is what as many producers append.
	Append Figure `json:"append"`
	// PerSecond counts deliveries whose acknowledgement was confirmed.
	PerSecond float64 `json:"per_second"`
	// Ratio is PerSecond over the append rate.
	Ratio      float64 `json:"ratio"`
	Deliveries int     `json:"deliveries"`
	Seconds    float64 `json:"seconds"`
	// Again counts deliveries that were not the first of their event, Refused
	// acknowledgements that were refused.
	Again   int `json:"again"`
	Refused int `json:"refused"`
}

// Live is how long after the acknowledgement of its append an event is with its
// handler, in nanoseconds in JSON.
type Live struct {
	PerSecond int           `json:"per_second"`
	Events    int           `json:"events"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
}

// RequestLevel is one caller of one worker, beside one producer.
type RequestLevel struct {
	Request Figure `json:"request"`
	Commit  Figure `json:"commit"`
	// Ratio is of the p50 of the two.
	Ratio  float64 `json:"ratio"`
	Errors int     `json:"errors"`
}

// medianDrain takes the median of each column by itself, and the sum of what went
// wrong.
func medianDrain(samples []Drain) Drain {
	var appends []Figure
	var rates, ratios, seconds []float64
	var deliveries []int64
	m := Drain{}
	for _, s := range samples {
		m.Credits = s.Credits
		m.Again += s.Again
		m.Refused += s.Refused
		appends, rates, ratios = append(appends, s.Append), append(rates, s.PerSecond), append(ratios, s.Ratio)
		seconds, deliveries = append(seconds, s.Seconds), append(deliveries, int64(s.Deliveries))
	}
	m.Append, m.PerSecond, m.Ratio = medianFigure(appends), median(rates), median(ratios)
	m.Seconds, m.Deliveries = median(seconds), int(median(deliveries))
	return m
}

// WriteText writes the report as tables for people.
func (r DeliverReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "backlog of events with %d bytes of data, drained by one member, beside as many producers; medians of %d rounds\n", r.EventBytes, r.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "credits\tdeliveries/s\tappends/s\tratio\tdeliveries\tseconds\tagain\trefused\t")
	for _, d := range r.Drains {
		fmt.Fprintf(tw, "%d\t%.0f\t%.0f\t%.2f\t%d\t%.1f\t%d\t%d\t\n",
			d.Credits, d.PerSecond, d.Append.PerSecond, d.Ratio, d.Deliveries, d.Seconds, d.Again, d.Refused)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "live at %d events/s, append acknowledged to handler: p50 %s, p99 %s, max %s (%d events)\n",
		r.Live.PerSecond, short(r.Live.P50), short(r.Live.P99), short(r.Live.Max), r.Live.Events)
	_, err := fmt.Fprintf(w, "request: p50 %s, p99 %s; commit: p50 %s, p99 %s; ratio of p50 %.2f; %d errors\n",
		short(r.Request.Request.P50), short(r.Request.Request.P99), short(r.Request.Commit.P50), short(r.Request.Commit.P99), r.Request.Ratio, r.Request.Errors)
	return err
}

// WriteJSON writes the report as one line of JSON.
func (r DeliverReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
