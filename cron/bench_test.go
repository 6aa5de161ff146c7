package cron

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// BenchmarkAdvance is what the leader's loop pays for one fire, with so many schedules
// that wait.
func BenchmarkAdvance(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := &leader{node: &silent{now: 1}, inbox: inbox{wake: make(chan struct{}, 1)}, byIncarnation: map[uint64]*job{}}
			spec, err := proto.Marshal(&edriv1.ScheduleSpec{Cron: "* * * * *", Zone: "Europe/Berlin", Action: appendTo("ticks")})
			if err != nil {
				b.Fatal(err)
			}
			s, err := NewMachine(timers.New(), nil, nil).ParseSpec(spec)
			if err != nil {
				b.Fatal(err)
			}
			p, err := newPlan(&s, epoch2026)
			if err != nil {
				b.Fatal(err)
			}
			start := epoch2026.UnixNano()
			for i := range uint64(n) {
				j := &job{incarnation: i + 1, plan: p, at: -1, through: start, next: start + int64(time.Minute), due: start + int64(time.Minute)}
				l.byIncarnation[i+1] = j
				l.queue.put(j, j.due+int64(i)*int64(time.Minute)/int64(n))
			}
			node := l.node.(*silent)
			b.ReportAllocs()
			for b.Loop() {
				j := l.queue[0]
				node.now = j.wake
				l.advance()
				l.advanced(noteAdvanced{incarnation: j.incarnation, through: j.next, next: j.next + int64(time.Minute), due: j.wake + int64(time.Minute)})
			}
		})
	}
}

// silent is a node that takes operations and does nothing.
type silent struct {
	Node
	now int64
}

func (s *silent) Now() int64                                 { return s.now }
func (s *silent) Enqueue(uint32, []byte, func(*event.Error)) {}
