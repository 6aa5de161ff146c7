package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

const sampleEvents = 3000

func main() {
	w := bufio.NewWriter(os.Stdout)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// sample is a CloudEvent in the order in which its members are written.
type sample struct {
	SpecVersion     string         `json:"specversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Subject         string         `json:"subject"`
	Time            time.Time      `json:"time"`
	Correlation     string         `json:"correlationid,omitempty"`
	DataContentType string         `json:"datacontenttype"`
	Data            map[string]any `json:"data"` // written in the order of its keys
}

// write writes the sample events, oldest first.
func write(w io.Writer) error {
	g := generator{
		random: rand.New(rand.NewPCG(7420, 7421)),
		start:  time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC),
	}
	for len(g.events) < sampleEvents {
		switch n := g.random.IntN(10); {
		case n < 3:
			g.order()
		case n < 8:
			g.readings()
		default:
			g.build()
		}
	}
	slices.SortStableFunc(g.events, func(a, b sample) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, e := range g.events[:sampleEvents] {
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("encode event %s: %w", e.ID, err)
		}
	}
	return nil
}

type generator struct {
	random                *rand.Rand
	start                 time.Time
	orders, scans, builds int
	events                []sample
}

func (g *generator) add(e sample) {
	e.SpecVersion, e.DataContentType = "1.0", "application/json"
	g.events = append(g.events, e)
}

// moment is a time of the morning, to the millisecond.
func (g *generator) moment() time.Time {
	return g.start.Add(time.Duration(g.random.IntN(4*3600*1000)) * time.Millisecond)
}

func (g *generator) later(t time.Time, atMost time.Duration) time.Time {
	return t.Add(time.Duration(1+g.random.Int64N(atMost.Milliseconds())) * time.Millisecond)
}

func pick[T any](g *generator, of ...T) T { return of[g.random.IntN(len(of))] }

// order is a sale from its placing to its delivery, or to its cancelling.
func (g *generator) order() {
	g.orders++
	number := 1000 + g.orders
	subject := fmt.Sprintf("order/%d", number)
	at := g.moment()
	step := func(name string, data map[string]any) {
		g.add(sample{
			ID: fmt.Sprintf("order-%d-%s", number, name), Source: "/shop", Type: "com.example.order." + name,
			Subject: subject, Time: at, Correlation: fmt.Sprintf("sale-%d", number), Data: data,
		})
		at = g.later(at, 20*time.Minute)
	}
	quantity, cents := 1+g.random.IntN(4), 199+g.random.IntN(9800)
	step("placed", map[string]any{
		"customer": fmt.Sprintf("c-%03d", g.random.IntN(400)),
		"item":     pick(g, "kettle", "lamp", "notebook", "bicycle bell", "tea, green", "Brötchenkorb", "雨伞"),
		"quantity": quantity, "total_cents": quantity * cents,
	})
	if g.random.IntN(12) == 0 {
		step("cancelled", map[string]any{"reason": pick(g, "changed their mind", "card refused", "out of stock")})
		return
	}
	step("paid", map[string]any{"method": pick(g, "card", "invoice", "transfer"), "total_cents": quantity * cents})
	step("packed", map[string]any{"parcels": 1 + quantity/3, "grams": 120 + g.random.IntN(4000)})
	step("shipped", map[string]any{"carrier": pick(g, "post", "courier", "pickup"), "tracking": fmt.Sprintf("T%08d", g.random.IntN(1e8))})
}

// readings is a few measurements of one sensor, and an alarm if one is too high.
func (g *generator) readings() {
	line, number := 1+g.random.IntN(4), 1+g.random.IntN(12)
	source := fmt.Sprintf("/plant/line-%d", line)
	subject := fmt.Sprintf("sensor/%d-%02d", line, number)
	at, celsius := g.moment(), 20+float64(g.random.IntN(500))/10
	for range 2 + g.random.IntN(4) {
		g.scans++
		celsius += float64(g.random.IntN(41)-20) / 10
		tenths := float64(int(celsius*10)) / 10
		g.add(sample{
			ID: fmt.Sprintf("reading-%05d", g.scans), Source: source, Type: "com.example.sensor.reading",
			Subject: subject, Time: at, Data: map[string]any{"celsius": tenths, "battery": 40 + g.random.IntN(60)},
		})
		if tenths > 68 {
			g.add(sample{
				ID: fmt.Sprintf("alarm-%05d", g.scans), Source: source, Type: "com.example.sensor.alarm",
				Subject: subject, Time: at.Add(time.Millisecond), Correlation: fmt.Sprintf("alarm-%d-%02d", line, number),
				Data: map[string]any{"celsius": tenths, "limit": 68},
			})
		}
		at = at.Add(time.Minute)
	}
}

// build is a run of a project's checks.
func (g *generator) build() {
	g.builds++
	project := pick(g, "website", "mobile-app", "billing", "search")
	at := g.moment()
	step := func(name string, data map[string]any) {
		data["branch"] = pick(g, "main", "main", "release", "fix-login")
		g.add(sample{
			ID: fmt.Sprintf("build-%d-%s", g.builds, name), Source: "/ci/" + project, Type: "com.example.build." + name,
			Subject: fmt.Sprintf("build/%d", g.builds), Time: at, Correlation: fmt.Sprintf("build-%d", g.builds), Data: data,
		})
		at = g.later(at, 8*time.Minute)
	}
	step("queued", map[string]any{"commit": fmt.Sprintf("%010x", g.random.Int64N(1<<40))})
	step("started", map[string]any{"runner": fmt.Sprintf("runner-%d", 1+g.random.IntN(6))})
	if g.random.IntN(5) == 0 {
		step("failed", map[string]any{"exit_code": 1 + g.random.IntN(3), "step": pick(g, "compile", "unit tests", "lint")})
		return
	}
	step("succeeded", map[string]any{"seconds": 30 + g.random.IntN(900), "tests": 200 + g.random.IntN(3000)})
}
