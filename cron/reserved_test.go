package cron

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

func TestSchedulesAppendNothingThatIsReserved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*edriv1.ScheduleSpec)
		want   string
	}{
		{func(s *edriv1.ScheduleSpec) { s.Action.GetAppend().Stream = "kv/b" }, `action: stream "kv/b": streams that begin`},
		{func(s *edriv1.ScheduleSpec) { s.Action.GetAppend().Event.Type = "edri.kv.put" }, `action: type "edri.kv.put": types that begin`},
		{func(s *edriv1.ScheduleSpec) {}, ""},
	} {
		spec, err := proto.Marshal(with(c.change))
		if err != nil {
			t.Fatal(err)
		}
		err = NewMachine(timers.New(), nil, nil).checkNamed([]byte("s"), spec)
		if (err == nil) != (c.want == "") || err != nil && (event.CodeOf(err) != event.CodeInvalid || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
