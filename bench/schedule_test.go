package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestScheduleSettingsOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]SchedulesConfig{
		"no server":      {},
		"negative":       {Servers: []string{"s"}, Schedules: -1},
		"too many":       {Servers: []string{"s"}, Schedules: 1_000_001},
		"spread of less": {Servers: []string{"s"}, Spread: time.Millisecond},
		"negative time":  {Servers: []string{"s"}, Lead: -1},
	} {
		if _, err := cfg.normalize(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cfg, err := SchedulesConfig{Servers: []string{"s"}}.normalize()
	if err != nil || cfg.Schedules != 10_000 || cfg.Spread != time.Minute || cfg.Lead != 30*time.Second {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestTheScheduleReportPrintsEveryFigure(t *testing.T) {
	t.Parallel()
	r := SchedulesReport{
		Schedules: 4321, SpreadSeconds: 60,
		Spread: Delay{P50: 3 * time.Millisecond, P99: 41 * time.Millisecond, Last: 52 * time.Millisecond},
		Same:   Delay{P50: 210 * time.Millisecond, P99: 470 * time.Millisecond, Last: 480 * time.Millisecond},
	}
	var text, line bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4321", "over 60s", "p50 3ms", "p99 41ms", "last 52ms", "p50 210ms", "p99 470ms", "last 480ms"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
	if err := r.WriteJSON(&line); err != nil {
		t.Fatal(err)
	}
	var back SchedulesReport
	if err := json.Unmarshal(line.Bytes(), &back); err != nil || back != r {
		t.Errorf("JSON did not come back: %+v, %v", back, err)
	}
}
