package managerstest

import (
	"runtime"
	"slices"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// key reads a key of the default bucket as managers do: nil where it is not there.
func (s *scene) key(name string) *managers.Key {
	s.Helper()
	reader, ok := s.Cluster.(managers.KeyReader)
	if !ok {
		s.Fatalf("%T reads no keys", s.Cluster)
	}
	k, err := reader.ReadKey(s.ctx, managers.DefaultBucket, s.named(name))
	switch {
	case event.CodeOf(err) == event.CodeNotFound:
		return nil
	case err != nil:
		s.Fatalf("read key %s: %v", name, err)
	}
	return &k
}

// keysChange has handlers put, compare and delete keys in the commits of their acks.
func keysChange(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{})
	managers.Handle(m, typ, func(_ ctx, t thing) (effects, error) {
		e := managers.Emit(out, "made", t)
		switch t.Number {
		case 0:
			e.Put("", s.named("json"), t)
			e.Put(managers.DefaultBucket, s.named("text"), "as it is")
		case 1:
			e.Put("", s.named("json"), []byte("again"))
			e.Keys[0].Expected = &s.key("json").Revision
			e.Delete("", s.named("text"))
		}
		return e, nil
	})
	s.run(m)
	s.append(typ, 0)
	s.until("the first effect is there", func() bool { return len(s.stream("out")) == 1 })
	json, text := s.key("json"), s.key("text")
	if json == nil || string(json.Value) != `{"number":0}` || json.ContentType != "application/json" || json.Revision == 0 ||
		text == nil || string(text.Value) != "as it is" || text.ContentType != "" {
		s.Fatalf("keys are %+v and %+v", json, text)
	}
	s.append(typ, 1)
	s.until("the second effect is there", func() bool { return len(s.stream("out")) == 2 })
	again := s.key("json")
	if again == nil || string(again.Value) != "again" || again.Revision <= json.Revision || s.key("text") != nil {
		s.Errorf("keys are %+v and %+v", again, s.key("text"))
	}
}

// keysConflict has an ack whose key is not at the revision that it expects: nothing of
// the ack takes effect, and the event is tried again for that reason, to the end.
func keysConflict(s *scene) {
	typ := s.named("placed")
	s.subscribe("m", typ, event.Subscription{MaxDeliver: 2})
	m := s.manager("m", managers.Config{Subscription: event.Subscription{MaxDeliver: 2}})
	managers.Handle(m, typ, func(ctx ctx, t thing) (effects, error) {
		e := managers.Emit(s.named("out"), "made", t)
		e.Put("", s.named("beside"), "x")
		e.Put("", s.named("compared"), "y")
		if t.Number == 1 || managers.DeliveryFrom(ctx).Attempt == 1 {
			seven := event.Position(7) // the key is not there
			e.Keys[1].Expected = &seven
		}
		return e, nil
	})
	s.run(m)
	lost := s.append(typ, 1)
	s.until("it is given up", func() bool { dead, err := s.Dead(s.ctx, s.named("m")); return err == nil && len(dead) == 1 })
	dead, err := s.Dead(s.ctx, s.named("m"))
	if err != nil || dead[0].Position != lost || len(dead[0].Reasons) != 2 ||
		slices.ContainsFunc(dead[0].Reasons, func(reason string) bool {
			return !strings.Contains(reason, string(event.CodeRevisionConflict)) && !strings.Contains(reason, string(event.CodeCheckFailed))
		}) {
		s.Errorf("dead letters are %+v, %v", dead, err)
	}
	if n := len(s.stream("out")); n != 0 || s.key("beside") != nil || s.key("compared") != nil {
		s.Errorf("%d events and the keys %v and %v of a refused ack", n, s.key("beside"), s.key("compared"))
	}
	s.append(typ, 2)
	s.until("the other is done", func() bool { return len(s.stream("out")) == 1 })
	if s.key("beside") == nil || s.key("compared") == nil {
		s.Error("the keys of an ack that holds are not there")
	}
}

// keysOfAProcess has a worker process count in a key: it reads one, and puts it where it
// is as it was read.
func keysOfAProcess(s *scene) {
	if runtime.GOOS == "windows" {
		s.Skip("needs sh")
	}
	const count = 5
	typ := s.named("placed")
	def := event.Subscription{Filter: event.Filter{Exact: map[string]string{"type": typ}}}
	s.subscribe("m", typ, event.Subscription{})
	for n := range count {
		s.append(typ, n)
	}
	m := s.manager("m", managers.Config{Subscription: def})
	m.HandleProcess(managers.Process{
		Command: []string{"sh", "-c", counter}, Env: []string{"OUT=" + s.named("out"), "KEY=" + s.named("count")}, Instances: 2,
	})
	s.run(m)
	s.until("all effects are there", func() bool { return len(s.stream("out")) == count })
	if k := s.key("count"); k == nil || string(k.Value) != "5" {
		s.Errorf("the key is %+v, want %d", k, count)
	}
}

// counter is a worker in sh. Of two at a time one is refused, and tried again.
const counter = `
echo '{"hello":{"protocol":1}}'
while read -r line; do
	case "$line" in
	*'"deliver":'*) ;;
	*'"stop"'*) exit 0 ;;
	*) continue ;;
	esac
	id=${line#*\"deliver\":\{\"id\":} id=${id%%[!0-9]*}
	echo "{\"get\":{\"id\":1,\"key\":\"$KEY\"}}"
	read -r found
	value=0 revision=0
	case "$found" in
	*'"found":true'*)
		value=${found#*\"value\":\"} value=${value%%\"*}
		revision=${found#*\"revision\":\"} revision=${revision%%\"*}
		;;
	esac
	value=$((value + 1))
	echo "{\"ack\":{\"id\":$id,\"put\":[{\"key\":\"$KEY\",\"value\":\"$value\",\"expected\":\"$revision\"}],\"append\":[{\"stream\":\"$OUT\",\"event\":{\"type\":\"made\"}}]}}"
done
`
