package managerstest

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// meet returns a handler of which count must run at the same time before any ends.
func meet(count int, met chan<- string, who string, together <-chan struct{}) func(ctx, thing) (effects, error) {
	return func(ctx ctx, _ thing) (effects, error) {
		met <- who
		select {
		case <-together:
			return effects{}, nil
		case <-ctx.Done():
			return effects{}, ctx.Err()
		}
	}
}

func pools(s *scene) {
	const size = 4
	typ := s.named("placed")
	met, together := make(chan string, 100), make(chan struct{})
	m := s.manager("m", managers.Config{Concurrency: size})
	managers.Handle(m, typ, meet(size, met, "m", together))
	s.subscribe("m", typ, event.Subscription{})
	for n := range size + 1 {
		s.append(typ, n)
	}
	s.run(m)
	for range size {
		receive(s, met)
	}
	select {
	case <-met:
		s.Error("more at a time than asked for")
	default:
	}
	close(together)
	receive(s, met)
}

func competes(s *scene) {
	typ := s.named("placed")
	met, together := make(chan string, 100), make(chan struct{})
	s.subscribe("m", typ, event.Subscription{})
	for _, who := range []string{"one", "two"} {
		m := s.manager("m", managers.Config{Member: who})
		managers.Handle(m, typ, meet(2, met, who, together))
		s.run(m)
	}
	s.append(typ, 0)
	s.append(typ, 1)
	if first, second := receive(s, met), receive(s, met); first == second {
		s.Errorf("both events went to member %s, which is in line", first)
	}
	close(together)
}

func keepsLease(s *scene) {
	const ackWait = time.Second // a busy machine must not lose it
	typ, out := s.named("placed"), s.named("out")
	seen := make(chan int, 100)
	def := event.Subscription{AckWait: ackWait}
	s.subscribe("m", typ, def)
	m := s.manager("m", managers.Config{Subscription: def, Concurrency: 2})
	managers.Handle(m, typ, attempts(seen, func(_ int, ctx ctx) (effects, error) {
		over := time.NewTimer(5 * ackWait / 2) // the lease alone would be over
		defer over.Stop()
		select {
		case <-over.C:
			return managers.Emit(out, "made", nil), nil
		case <-ctx.Done():
			return effects{}, ctx.Err()
		}
	}))
	s.append(typ, 0)
	s.run(m)
	s.until("the effect is there", func() bool { return len(s.stream("out")) == 1 })
	if receive(s, seen); len(seen) > 0 {
		s.Error("it was delivered again while it was handled")
	}
}

func timesOut(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	seen := make(chan int, 100)
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{Timeout: 100 * time.Millisecond})
	managers.Handle(m, typ, attempts(seen, func(attempt int, ctx ctx) (effects, error) {
		if attempt == 1 {
			<-ctx.Done()
			return effects{}, ctx.Err()
		}
		return managers.Emit(out, "made", nil), nil
	}))
	s.append(typ, 0)
	s.run(m)
	s.until("the effect is there", func() bool { return len(s.stream("out")) == 1 })
	if first, second := receive(s, seen), receive(s, seen); first != 1 || second != 2 {
		s.Errorf("attempts %d and %d, want 1 and 2", first, second)
	}
}

type waitedKey struct{}

func waits(s *scene) {
	const ackWait, timeout = time.Second, 500 * time.Millisecond
	typ := s.named("placed")
	s.subscribe("m", typ, event.Subscription{AckWait: ackWait, Backoff: []time.Duration{time.Millisecond}})
	type seen struct {
		attempt int
		left    time.Duration
		waited  bool
	}
	handled := make(chan seen, 100)
	consuming, stop := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Cluster.Consume(consuming, s.named("m"), managers.Consumer{
			Concurrency: 2, // it would be delivered again
			Timeout:     timeout,
			Await: func(ctx context.Context, _ managers.Delivery) context.Context {
				over := time.NewTimer(5 * ackWait / 2)
				defer over.Stop()
				select {
				case <-over.C:
				case <-ctx.Done():
				}
				return context.WithValue(ctx, waitedKey{}, true)
			},
			Handle: func(ctx context.Context, d managers.Delivery) managers.Settlement {
				until, _ := ctx.Deadline()
				waited, _ := ctx.Value(waitedKey{}).(bool)
				handled <- seen{d.Attempt, time.Until(until), waited}
				return managers.Settlement{}
			},
		})
	}()
	s.append(typ, 0)
	got := receive(s, handled)
	if got.attempt != 1 || got.left <= 0 || got.left > timeout || !got.waited {
		s.Errorf("handled with %+v, want the first attempt with %v, in the context that Await returned", got, timeout)
	}
	stop()
	if err := receive(s, ended); err != nil {
		s.Error(err)
	}
	if len(handled) > 0 {
		s.Error("it was delivered again while it waited")
	}
}

func finishes(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	began, finish := make(chan int, 1), make(chan struct{})
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{Grace: patience})
	managers.Handle(m, typ, func(_ ctx, t thing) (effects, error) {
		began <- t.Number
		<-finish
		return managers.Emit(out, "made", t), nil
	})
	s.append(typ, 0)
	stop := s.run(m)
	receive(s, began)
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	close(finish)
	if err := receive(s, ended); err != nil {
		s.Error(err)
	}
	if n := len(s.stream("out")); n != 1 {
		s.Errorf("%d effects after Run has returned, want 1", n)
	}
}

func handsBack(s *scene) {
	typ := s.named("placed")
	seen := make(chan int, 100)
	s.subscribe("m", typ, event.Subscription{})
	first := s.manager("m", managers.Config{Grace: time.Millisecond})
	managers.Handle(first, typ, attempts(seen, func(_ int, ctx ctx) (effects, error) {
		<-ctx.Done()
		return effects{}, ctx.Err()
	}))
	s.append(typ, 0)
	stop := s.run(first)
	receive(s, seen)
	if err := stop(); err != nil {
		s.Fatal(err)
	}
	second := s.manager("m", managers.Config{})
	managers.Handle(second, typ, attempts(seen, func(int, ctx) (effects, error) { return effects{}, nil }))
	s.run(second)
	if got := receive(s, seen); got != 1 {
		s.Errorf("attempt %d at the next member, want 1: leaving is no failure", got)
	}
}

func supersedes(s *scene) {
	typ := s.named("placed")
	seen := make(chan int, 100)
	version := func(v uint32) *managers.Manager {
		m := s.manager("m", managers.Config{Subscription: event.Subscription{Version: v}})
		managers.Handle(m, typ, func(ctx, thing) (effects, error) {
			seen <- int(v)
			return effects{}, nil
		})
		return m
	}
	old := make(chan error, 1)
	go func() { old <- version(1).Run(s.ctx, s.Cluster) }()
	s.until("version 1 is there", func() bool { s.append(typ, len(s.stream("things"))); return len(seen) > 0 })
	s.run(version(2))
	if err := receive(s, old); !errors.Is(err, managers.ErrSuperseded) {
		s.Errorf("Run of version 1 returned %v", err)
	}
	if err := version(1).Run(s.ctx, s.Cluster); !errors.Is(err, managers.ErrSuperseded) {
		s.Errorf("Run of version 1, begun after version 2, returned %v", err)
	}
	s.append(typ, len(s.stream("things")))
	s.until("version 2 handles", func() bool { return receive(s, seen) == 2 })
}

// echo is a worker in sh: it knows the lines of this host, not all that the protocol
// allows.
const echo = `
echo '{"hello":{"protocol":1,"name":"echo"}}'
while read -r line; do
  id=$(echo "$line" | sed -n 's/^{"deliver":{"id":\([0-9]*\),.*/\1/p')
  number=$(echo "$line" | sed -n 's/.*"number":\([0-9]*\).*/\1/p')
  [ -n "$id" ] && echo '{"ack":{"id":'$id',"append":[{"stream":"'$OUT'","event":{"type":"made","data":'$number'}}]}}'
done
exit 0
`

func processes(s *scene) {
	if runtime.GOOS == "windows" {
		s.Skip("needs sh")
	}
	const count = 10
	typ := s.named("placed")
	def := event.Subscription{Filter: event.Filter{Exact: map[string]string{"type": typ}}}
	s.subscribe("m", typ, event.Subscription{})
	for n := range count {
		s.append(typ, n)
	}
	m := s.manager("m", managers.Config{Subscription: def})
	m.HandleProcess(managers.Process{
		Command: []string{"sh", "-c", echo}, Env: []string{"OUT=" + s.named("out")}, Instances: 2,
	})
	s.run(m)
	s.until("all effects are there", func() bool { return len(s.stream("out")) == count })
	numbers := make(map[string]bool)
	for _, e := range s.stream("out") {
		numbers[string(e.Data)] = true
	}
	if len(numbers) != count {
		s.Errorf("effects of %d events, want %d", len(numbers), count)
	}
}
