package workflows

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is written by hand is what encoding/json writes.
func TestRecordsAreWrittenAsTheirStructs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := StepRecord{
			Seq:     rapid.Uint64().Draw(t, "seq"),
			Name:    rapid.String().Draw(t, "name"),
			Attempt: rapid.Int().Draw(t, "attempt"),
			Started: time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			RetryIn: rapid.SampledFrom([]string{"", "1.5s", "2ms"}).Draw(t, "retry"),
			Blocks:  rapid.Bool().Draw(t, "blocks"),
		}
		if rapid.Bool().Draw(t, "result") {
			r.Result, _ = json.Marshal(rapid.String().Draw(t, "text"))
		}
		if rapid.Bool().Draw(t, "heartbeat") {
			r.Heartbeat, _ = json.Marshal(rapid.String().Draw(t, "details"))
		}
		if rapid.Bool().Draw(t, "error") {
			r.Error = &Error{Type: rapid.String().Draw(t, "type"), Final: rapid.Bool().Draw(t, "final")}
		}
		same(t, appendStep(nil, &r), r)
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		same(t, appendTimer(nil, r.Seq, d), TimerRecord{Seq: r.Seq, For: d.String()})
		same(t, appendSeq(nil, r.Seq), Seq{r.Seq})
	})
}

func same(t *rapid.T, got []byte, v any) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestWaitsOfRetries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{
			Initial: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "initial")),
			Factor:  rapid.Float64Range(0, 10).Draw(t, "factor"),
			Max:     time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "max")),
			Jitter:  rapid.Float64Range(-1, 2).Draw(t, "jitter"),
		}
		attempt := rapid.IntRange(1, 100_000).Draw(t, "attempt")
		random := rapid.Float64Range(0, 1).Draw(t, "random")
		wait, again := r.again(attempt, &Error{}, func() float64 { return random })
		limit := max(r.Max, 100*r.Initial, 100*time.Second)
		if !again || wait < time.Millisecond || wait > 2*limit+time.Millisecond {
			t.Fatalf("wait %v, again %v", wait, again)
		}
	})
}

// A cluster refuses longer timers, and with them the record of what failed.
func TestNoWaitOfARetryIsLongerThanATimer(t *testing.T) {
	t.Parallel()
	for _, r := range []Retry{{Initial: maxTimer / 50}, {Initial: time.Hour, Max: maxTimer, Factor: 1e9}, {Initial: 1<<63 - 1}, {Initial: 1, Max: 1<<63 - 1, Factor: 1e30}} {
		if wait, again := r.again(9, &Error{}, func() float64 { return 1 }); !again || wait != maxTimer {
			t.Errorf("%+v waits %v, %v", r, wait, again)
		}
	}
}
