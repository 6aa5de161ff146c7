package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// subscriptionFlags are the flags that make up a subscription.
type subscriptionFlags struct {
	config                      event.Subscription
	filter, prefix, source, sub string
	types                       []string
}

func (f *subscriptionFlags) register(cmd *cobra.Command) {
	flags, s := cmd.Flags(), &f.config
	flags.StringVar(&f.filter, "filter", "", `filter in JSON, such as {"any":[{"exact":{"type":"a"}},{"prefix":{"source":"/b"}}]}; {} for every event`)
	flags.StringSliceVar(&f.types, "type", nil, "only events of this type, or one of these with commas between them")
	flags.StringVar(&f.prefix, "type-prefix", "", "only types that begin so")
	flags.StringVar(&f.source, "source", "", "only this source")
	flags.StringVar(&f.sub, "subject", "", "only this subject")
	flags.StringVar(&s.OrderingKey, "ordering-key", "", "what events have in common that are delivered in their order: partitionkey, stream, subject, or a JSON pointer into the data")
	flags.DurationVar(&s.AckWait, "ack-wait", event.DefaultAckWait, "how long a member may keep a delivery")
	flags.IntVar(&s.MaxDeliver, "max-deliver", event.DefaultMaxDeliver, "attempts after which an event goes to the dead letters")
	flags.DurationSliceVar(&s.Backoff, "backoff", event.DefaultBackoff(), "waits before the second, third, … attempt; the last repeats")
	flags.IntVar(&s.MaxInFlight, "max-in-flight", event.DefaultMaxInFlight, "deliveries that are out at a time")
	flags.IntVar(&s.MaxPending, "max-pending", event.DefaultMaxPending, "events that may wait to be done, before nothing new is handed out")
	flags.DurationVar(&s.MaxHoldAge, "max-hold-age", event.DefaultMaxHoldAge, "up to which age what is not done, and dead letters, are kept from retention")
	s.MaxHoldBytes = event.DefaultMaxHoldBytes
	flags.Var((*sizeFlag)(&s.MaxHoldBytes), "max-hold-bytes", "the same in bytes of the journal after it")
	flags.IntVar(&s.Priority, "priority", 0, "the higher are served first; -100 to 100")
	flags.StringVar(&s.DeadLetterStream, "dead-letter-stream", "", "stream of what is given up; default dead/ and the name")
	flags.StringVar(&s.Description, "description", "", "what it is for")
	flags.Uint32Var(&s.Version, "version", 0, "version of this definition; of several the newest wins")
	for _, other := range []string{"type", "type-prefix", "source", "subject"} {
		cmd.MarkFlagsMutuallyExclusive("filter", other)
	}
	_ = cmd.RegisterFlagCompletionFunc("ordering-key", cobra.FixedCompletions(
		[]string{event.OrderByPartitionKey, event.OrderByStream, event.OrderBySubject}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// parse returns the subscription that the flags describe.
func (f *subscriptionFlags) parse(name string) (event.Subscription, error) {
	s := f.config
	s.Name = name
	var err error
	s.Filter, err = f.parseFilter()
	return s, err
}

// parseFilter returns the filter that the flags make up; all must hold.
func (f *subscriptionFlags) parseFilter() (event.Filter, error) {
	if f.filter != "" {
		filter, err := event.ParseFilter([]byte(f.filter))
		if err != nil {
			return filter, usagef("--filter: %w", err)
		}
		return filter, nil
	}
	var all []event.Filter
	exact := map[string]string{}
	for name, value := range map[string]string{"source": f.source, "subject": f.sub} {
		if value != "" {
			exact[name] = value
		}
	}
	if len(f.types) == 1 {
		exact["type"] = f.types[0]
	}
	if len(exact) > 0 {
		all = append(all, event.Filter{Exact: exact})
	}
	if len(f.types) > 1 {
		var anyType []event.Filter
		for _, t := range f.types {
			anyType = append(anyType, event.Filter{Exact: map[string]string{"type": t}})
		}
		all = append(all, event.Filter{Any: anyType})
	}
	if f.prefix != "" {
		all = append(all, event.Filter{Prefix: map[string]string{"type": f.prefix}})
	}
	switch len(all) {
	case 0:
		return event.Filter{}, nil
	case 1:
		return all[0], nil
	}
	return event.Filter{All: all}, nil
}

// merge changes s as the flags say that were given; any flag of the filter replaces
// all of it.
func (f *subscriptionFlags) merge(flags *pflag.FlagSet, s *event.Subscription) error {
	given, err := f.parse(s.Name)
	if err != nil {
		return err
	}
	changed := false
	for flag, take := range map[string]func(){
		"filter": func() { s.Filter = given.Filter }, "type": func() { s.Filter = given.Filter },
		"type-prefix": func() { s.Filter = given.Filter }, "source": func() { s.Filter = given.Filter },
		"subject":            func() { s.Filter = given.Filter },
		"ordering-key":       func() { s.OrderingKey = given.OrderingKey },
		"ack-wait":           func() { s.AckWait = given.AckWait },
		"max-deliver":        func() { s.MaxDeliver = given.MaxDeliver },
		"backoff":            func() { s.Backoff = given.Backoff },
		"max-in-flight":      func() { s.MaxInFlight = given.MaxInFlight },
		"max-pending":        func() { s.MaxPending = given.MaxPending },
		"max-hold-age":       func() { s.MaxHoldAge = given.MaxHoldAge },
		"max-hold-bytes":     func() { s.MaxHoldBytes = given.MaxHoldBytes },
		"priority":           func() { s.Priority = given.Priority },
		"dead-letter-stream": func() { s.DeadLetterStream = given.DeadLetterStream },
		"description":        func() { s.Description = given.Description },
		"version":            func() { s.Version = given.Version },
	} {
		if flags.Changed(flag) {
			take()
			changed = true
		}
	}
	if !changed {
		return usagef("nothing to change")
	}
	return nil
}

// sizeFlag is a number of bytes, with a unit or without.
type sizeFlag int64

var _ pflag.Value = (*sizeFlag)(nil)

// String implements pflag.Value.
func (f *sizeFlag) String() string { return formatSize(uint64(*f)) }

// Set implements pflag.Value.
func (f *sizeFlag) Set(s string) error {
	n, err := parseSize(s)
	if err != nil || n == 0 {
		return errors.New("is not a size such as 500MiB or 10GiB")
	}
	*f = sizeFlag(n)
	return nil
}

// Type implements pflag.Value.
func (*sizeFlag) Type() string { return "size" }

// registerStart registers the flag that says where to begin.
func registerStart(cmd *cobra.Command, start *string, flag, standard, usage string) {
	cmd.Flags().StringVar(start, flag, standard, usage+": first, now, a position, or a commit time in RFC 3339")
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions([]string{"first", "now"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

func parseStart(flag, s string) (managers.Start, error) {
	switch s {
	case "first":
		return managers.Start{First: true}, nil
	case "now":
		return managers.Start{}, nil
	}
	if p, err := strconv.ParseUint(s, 10, 64); err == nil && p > 0 {
		return managers.Start{Position: event.Position(p)}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.After(time.Unix(0, 0)) {
		return managers.Start{Time: t}, nil
	}
	return managers.Start{}, usagef("--%s %q: is none of first, now, a position, and RFC 3339 such as %s", flag, strings.TrimSpace(s), "2026-01-02T15:04:05Z")
}
