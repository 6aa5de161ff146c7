package cron

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/timers"
)

// Whatever bytes come, decoders and checks return errors.
func FuzzOperations(f *testing.F) {
	for _, op := range []proto.Message{
		create("a", with(func(s *edriv1.ScheduleSpec) { s.ExcludeDates = []string{"2026-01-01"} })).GetCreateSchedule(),
		update("a", every(1e9)).GetUpdateSchedule(), pauseOf("a", true, "b").GetPauseSchedule(),
		backfill("a", epoch2026, epoch2026).GetBackfillSchedule(), later1("a", epoch2026).GetAppendLater(),
		cancelLater("a").GetCancelLater(),
	} {
		b, err := proto.Marshal(op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(encodeAdvances([]advance{{incarnation: 1, fires: []int64{1, 2}, missed: missed{from: 1, to: 2, count: 3, more: true}}}))
	table := timers.New()
	m := NewMachine(table, nil, kv.New(table))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for op := uint32(opFirst); op <= opLast; op++ {
			_ = m.Check(op, b)
		}
		_, _ = decodeAdvances(b)
	})
}

// Rows that can be read are written as they were.
func FuzzRows(f *testing.F) {
	f.Add((&state{note: []byte("a"), name: []byte("b"), left: 3}).append(nil))
	f.Add((&definition{incarnation: 3, spec: []byte("x")}).append(nil))
	f.Add((&laterRow{stream: []byte("s"), event: []byte("e")}).append(nil))
	f.Add(backfillRow{1, 2}.append(nil))
	f.Add(fire{batch: 1, nominal: 2}.appendTo(nil))
	f.Fuzz(func(t *testing.T, row []byte) {
		again := func(what string, b []byte, err error) {
			// Uvarints may be longer than they need be in what nobody wrote.
			if err == nil && len(b) == len(row) && !bytes.Equal(b, row) {
				t.Errorf("%s %x: written as %x", what, row, b)
			}
		}
		s, err := parseState(row)
		again("state", s.append(nil), err)
		d, err := parseDefinition(row)
		again("definition", d.append(nil), err)
		l, err := parseLater(row)
		again("delayed event", l.append(nil), err)
		b, err := parseBackfill(row)
		again("backfill", b.append(nil), err)
		w, err := parseFire(1, row)
		again("fire", w.appendTo(nil), err)
	})
}
