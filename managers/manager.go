package managers

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/edri-io/edri/event"
)

// Bounds and defaults of a Config.
const (
	DefaultTimeout = 30 * time.Second
	DefaultGrace   = 5 * time.Second

	maxConcurrency = 10_000
	maxTimeout     = 24 * time.Hour
)

// ErrSuperseded is returned by Manager.Run once the subscription has a newer version
// than the manager's: its successor runs, and what it had was settled or handed back.
var ErrSuperseded = errors.New("superseded by a newer version of the manager")

// Config says how a manager consumes. The zero Config is: in line, one event at a time.
type Config struct {
	// Subscription tunes the manager's subscription. Name is the manager's if it is
	// empty. Filter narrows what the handled types select. Version is to be raised
	// with every change of this config or of the types: the newest one wins, Run of
	// the others ends with ErrSuperseded.
	Subscription event.Subscription
	// Start is where the subscription begins when it is made.
	Start Start
	// Existing: the subscription is there and stays as it is; nothing but its name is
	// used.
	Existing bool
	// Concurrency is how many events are handled at a time. 1 is in line, one after
	// the other; n a pool of n goroutines; at most 10,000. 0 is 1, or as many as the
	// manager's processes take.
	Concurrency int
	// Timeout of each handler; default 30 s, at most 24 h.
	Timeout time.Duration
	// Grace is how long handlers may go on once Run is to end; default 5 s.
	Grace time.Duration
	// Member names this member of the subscription; default host name and process id.
	Member string
	// Source of the events that handlers make without one; default "/subscriptions/"
	// and the name of the subscription, escaped.
	Source string
	// Logger is told what fails, which the cluster tells nobody here; default slog.Default().
	Logger *slog.Logger
}

// Manager handles the events of one durable subscription. Give it its handlers, then
// Run it; Run may go on more than once at a time.
type Manager struct {
	name      string
	cfg       Config
	handlers  map[string]handler
	processes []processRoute
	err       error // what was wrong with Handle and HandleProcess
	killed    bool  // under living.mu
}

// New returns a manager without handlers.
func New(name string, cfg Config) (*Manager, error) {
	if err := event.CheckName("manager", name); err != nil {
		return nil, err
	}
	if cfg.Subscription.Name == "" {
		cfg.Subscription.Name = name
	}
	cfg, err := cfg.normalised()
	if err != nil {
		return nil, fmt.Errorf("manager %s: %w", name, err)
	}
	return &Manager{name: name, cfg: cfg, handlers: make(map[string]handler)}, nil
}

// Name returns the manager's name.
func (m *Manager) Name() string { return m.name }

func (cfg Config) normalised() (Config, error) {
	if _, err := cfg.Subscription.Normalised(); err != nil {
		return cfg, err
	}
	if cfg.Concurrency < 0 || cfg.Concurrency > maxConcurrency {
		return cfg, event.Errorf(event.CodeInvalid, "concurrency %d is not within 0 and %d", cfg.Concurrency, maxConcurrency)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Timeout < 0 || cfg.Timeout > maxTimeout {
		return cfg, event.Errorf(event.CodeInvalid, "timeout %v is not within 0 and %v", cfg.Timeout, maxTimeout)
	}
	if cfg.Grace < 0 {
		return cfg, event.Errorf(event.CodeInvalid, "grace %v is negative", cfg.Grace)
	}
	if cfg.Member == "" {
		host, _ := os.Hostname() // only a name for people
		cfg.Member = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if cfg.Source == "" {
		cfg.Source = "/subscriptions/" + url.PathEscape(cfg.Subscription.Name)
	}
	probe := event.Event{ID: "probe", Source: cfg.Source, Type: "probe"}
	if err := probe.Validate(); err != nil {
		return cfg, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return cfg, nil
}

// subscription returns the definition, which selects what there are handlers for.
func (m *Manager) subscription() (event.Subscription, error) {
	s := m.cfg.Subscription
	if m.err != nil {
		return s, m.err
	}
	types, all := m.types()
	switch {
	case all:
	case len(types) == 0:
		return s, event.Errorf(event.CodeInvalid, "has no handler")
	default:
		s.Filter = narrowed(s.Filter, types)
	}
	return s.Normalised()
}

// narrowed returns a filter of what f selects of the types, which are sorted: the same
// types make the same filter.
func narrowed(f event.Filter, types []string) event.Filter {
	exact := make([]event.Filter, len(types))
	for i, typ := range types {
		exact[i] = event.Filter{Exact: map[string]string{"type": typ}}
	}
	handled := exact[0]
	if len(exact) > 1 {
		handled = event.Filter{Any: exact}
	}
	if f.IsZero() {
		return handled
	}
	return event.Filter{All: []event.Filter{f, handled}}
}
