package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestDeliverySettingsOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]DeliverConfig{
		"no server":       {},
		"no credit":       {Servers: []string{"s"}, Credits: []int{0}},
		"event too large": {Servers: []string{"s"}, EventBytes: 1<<20 + 1},
		"negative time":   {Servers: []string{"s"}, Duration: -1},
		"negative rate":   {Servers: []string{"s"}, LiveRate: -1},
	} {
		if _, err := cfg.normalize(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cfg, err := DeliverConfig{Servers: []string{"s"}}.normalize()
	if err != nil || len(cfg.Credits) != 3 || cfg.Duration != 20*time.Second || cfg.LiveRate != 1000 || cfg.MaxBacklog == 0 {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestDrainsAreMedians(t *testing.T) {
	t.Parallel()
	got := medianDrain([]Drain{
		{Credits: 64, PerSecond: 100, Ratio: 0.5, Deliveries: 10, Again: 1},
		{Credits: 64, PerSecond: 300, Ratio: 0.7, Deliveries: 30, Refused: 2},
		{Credits: 64, PerSecond: 200, Ratio: 0.9, Deliveries: 20, Again: 3},
	})
	if got.Credits != 64 || got.PerSecond != 200 || got.Ratio != 0.7 || got.Deliveries != 20 || got.Again != 4 || got.Refused != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestLatenciesAreOfWhatHasBothTimes(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	times := &liveTimes{
		appended: []time.Time{at(1), at(2), at(9), {}},
		there:    []time.Time{at(4), at(3), at(8), at(1)},
	}
	got := times.latencies()
	if len(got) != 3 || got[0] != 0 || got[1] != time.Millisecond || got[2] != 3*time.Millisecond {
		t.Errorf("got %v: want 0 for what was there before its acknowledgement, 1ms and 3ms", got)
	}
}

func TestTheDeliveryReportPrintsEveryFigure(t *testing.T) {
	t.Parallel()
	r := DeliverReport{
		EventBytes: 256, Rounds: 1,
		Drains:  []Drain{{Credits: 64, Append: Figure{PerSecond: 4321}, PerSecond: 3456, Ratio: 0.8, Deliveries: 987, Seconds: 20, Again: 7, Refused: 6}},
		Live:    Live{PerSecond: 1000, Events: 5000, P50: 14 * time.Microsecond, P99: 2 * time.Millisecond, Max: 7 * time.Millisecond},
		Request: RequestLevel{Request: Figure{P50: 3 * time.Millisecond}, Commit: Figure{P50: time.Millisecond}, Ratio: 2.96},
	}
	var text, line bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4321", "3456", "0.80", "987", "20.0", "14µs", "2ms", "7ms", "5000", "3ms", "2.96"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
	if err := r.WriteJSON(&line); err != nil {
		t.Fatal(err)
	}
	var back DeliverReport
	if err := json.Unmarshal(line.Bytes(), &back); err != nil || back.Drains[0] != r.Drains[0] || back.Live != r.Live || back.Request != r.Request {
		t.Errorf("JSON did not come back: %+v, %v", back, err)
	}
}
