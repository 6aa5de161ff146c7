package cron

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oracle says in another way when an expression fires: of all walls that match, one
// after the other, it asks at which instants clocks show them.
type oracle struct {
	second, minute, hour, dom, month, dow []int // nil: a star
	zone                                  *time.Location
}

func field(values []int) string {
	if values == nil {
		return "*"
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = strconv.Itoa(v)
	}
	return strings.Join(texts, ",")
}

func (o *oracle) text() string {
	fields := []string{field(o.minute), field(o.hour), field(o.dom), field(o.month), field(o.dow)}
	if !slices.Equal(o.second, []int{0}) {
		fields = append([]string{field(o.second)}, fields...)
	}
	return strings.Join(fields, " ")
}

func has(values []int, v int) bool { return values == nil || slices.Contains(values, v) }

func (o *oracle) day(d time.Time) bool {
	if !has(o.month, int(d.Month())) {
		return false
	}
	dom, dow := has(o.dom, d.Day()), has(o.dow, int(d.Weekday()))
	if o.dom == nil || o.dow == nil {
		return dom && dow
	}
	return dom || dow
}

func span(values []int, n int) []int {
	if values != nil {
		return slices.Sorted(slices.Values(values))
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// shown returns the instants at which clocks show a wall, oldest first.
func (o *oracle) shown(wall time.Time) []time.Time {
	offsets := map[int]bool{}
	for h := -27; h <= 27; h += 9 {
		_, offset := wall.Add(time.Duration(h) * time.Hour).In(o.zone).Zone()
		offsets[offset] = true
	}
	var at []time.Time
	for offset := range offsets {
		t := wall.Add(-time.Duration(offset) * time.Second)
		if t.In(o.zone).Format("2006-01-02 15:04:05") == wall.Format("2006-01-02 15:04:05") {
			at = append(at, t)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// gapEnd returns the instant at which clocks pass over a wall.
func (o *oracle) gapEnd(wall time.Time) time.Time {
	lo, hi := wall.Add(-27*time.Hour).Unix(), wall.Add(27*time.Hour).Unix() // shown before, and after
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		t := time.Unix(mid, 0)
		_, offset := t.In(o.zone).Zone()
		if mid+int64(offset) > wall.Unix() {
			hi = mid
		} else {
			lo = mid
		}
	}
	return time.Unix(hi, 0).UTC()
}

// next returns the first fire after an instant and before another, zero if there is none.
func (o *oracle) next(after, before time.Time) time.Time {
	var best time.Time
	take := func(t time.Time) {
		if t.After(after) && (best.IsZero() || t.Before(best)) {
			best = t
		}
	}
	for d := after.UTC().Truncate(24*time.Hour).AddDate(0, 0, -2); d.Before(before.AddDate(0, 0, 2)); d = d.AddDate(0, 0, 1) {
		if !best.IsZero() && d.Add(-16*time.Hour).After(best) {
			break
		}
		if !o.day(d) {
			continue
		}
		for _, h := range span(o.hour, 24) {
			for _, m := range span(o.minute, 60) {
				for _, s := range span(o.second, 60) {
					wall := d.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second)
					if !wall.Add(27*time.Hour).After(after) || !best.IsZero() && wall.Add(-16*time.Hour).After(best) {
						continue
					}
					at := o.shown(wall)
					switch {
					case o.hour == nil:
						for _, t := range at {
							take(t)
						}
					case len(at) > 0:
						take(at[0])
					default:
						take(o.gapEnd(wall))
					}
				}
			}
		}
	}
	if !best.IsZero() && !best.Before(before) {
		return time.Time{}
	}
	return best
}

// oracleZones have gaps and overlaps of an hour, half an hour, a day, at midnight, and
// twice a year more than usual.
var oracleZones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Gaza",
	"Africa/Casablanca", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Havana",
	"Asia/Pyongyang", "Antarctica/Troll", "Africa/Cairo", "America/Caracas", "Atlantic/Azores",
}

func pick(r *rand.Rand, lo, hi, most int) []int {
	set := map[int]bool{}
	for range 1 + r.IntN(most) {
		set[lo+r.IntN(hi-lo+1)] = true
	}
	var list []int
	for v := range set {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// generate makes a case: often near a change of the zone's offset.
func generate(r *rand.Rand, zones []*time.Location) (o *oracle, after time.Time) {
	o = &oracle{zone: zones[r.IntN(len(zones))], second: []int{0}}
	after = time.Unix(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).Unix()+r.Int64N(60*365*86400), 0).UTC()
	if r.IntN(2) == 0 {
		if start, end := after.In(o.zone).ZoneBounds(); !end.IsZero() {
			after = end.UTC()
		} else if !start.IsZero() {
			after = start.UTC()
		}
		after = after.Add(time.Duration(r.IntN(2*50*3600)-50*3600) * time.Second)
	}
	if r.IntN(4) == 0 {
		after = after.Add(time.Duration(r.IntN(1e9)))
	}
	if r.IntN(4) == 0 {
		o.second = pick(r, 0, 59, 2)
	}
	if o.minute = pick(r, 0, 59, 3); r.IntN(5) == 0 {
		o.minute = nil
	}
	switch r.IntN(4) {
	case 0:
	case 1:
		o.hour = pick(r, 0, 23, 8)
	default:
		o.hour = pick(r, 0, 4, 3)
	}
	if r.IntN(4) == 0 {
		o.dom = pick(r, 1, 31, 12)
	}
	if r.IntN(8) == 0 {
		o.month = pick(r, 1, 12, 6)
	}
	if r.IntN(4) == 0 {
		o.dow = pick(r, 0, 6, 3)
	}
	return o, after
}

// The expressions agree with the oracle; EDRI_SOAK makes a million cases of it.
func TestExpressionsFireAsTheOracleSays(t *testing.T) {
	t.Parallel()
	cases := 10_000
	if testing.Short() {
		cases = 1000
	}
	if os.Getenv("EDRI_SOAK") != "" {
		cases = 1_000_000
	}
	var zones []*time.Location
	for _, name := range oracleZones {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	const pieces = 8
	for piece := range uint64(pieces) {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(5, piece))
			for range cases / pieces {
				o, after := generate(r, zones)
				compare(t, o, after)
			}
		})
	}
}

// slowest is how long one evaluation may take; machines that run tests are busy.
const slowest = 10 * time.Millisecond

func compare(t *testing.T, o *oracle, after time.Time) {
	t.Helper()
	text := o.text()
	x, err := parseExpression("cron", text)
	if err != nil {
		if o.dom != nil && o.month != nil { // 30 February and the like
			return
		}
		t.Fatalf("%q: %v", text, err)
	}
	got, took := time.Time{}, time.Duration(0)
	for range 3 {
		began := time.Now()
		got = x.nextIn(after, o.zone)
		if took = time.Since(began); took <= slowest {
			break
		}
	}
	if took > slowest {
		t.Errorf("%q in %v after %v: took %v", text, o.zone, after, took)
	}
	horizon := after.AddDate(0, 14, 0)
	if want := o.next(after, horizon); !got.Equal(want) && (!want.IsZero() || got.Before(horizon)) {
		t.Errorf("%q in %v after %v: got %v, want %v", text, o.zone, after, got, want)
	}
}
