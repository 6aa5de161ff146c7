package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/timers"
	"github.com/edri-io/edri/workflows/engine"
)

// How long the parts of a graceful stop may take: together less than stopWithin,
// after which the process ends as it is. (It may, at any time: that is what the
// log is for.)
const (
	stopWithin     = 4800 * time.Millisecond
	finishManagers = 800 * time.Millisecond  // what handlers are at, and its settlement
	finishRequests = 1200 * time.Millisecond // what is under way, and streams that were told to end
	handOver       = 2000 * time.Millisecond // leadership
)

// Options are what a Server needs besides its configuration.
type Options struct {
	// Logger gets all the node says. Default: discarded.
	Logger *slog.Logger
	// Exit ends the process when the node cannot trust its storage any more; it
	// must not return. Required.
	Exit func(code int)
	// Tune changes what the node is opened with, for tests; default: nothing.
	Tune func(*consensus.Config)
	// Managers run with the node, in its process, beside the workers of the
	// configuration.
	Managers []*managers.Manager
	// Restart starts the process anew, in its place, after damage that the next
	// start repairs. It returns only if it cannot. Default: Exit.
	Restart func() error
}

// Server is a node with its API.
type Server struct {
	cfg    Config
	logger *slog.Logger

	node       *consensus.Node
	router     *router.Router
	cron       *cron.Scheduler
	workflows  *engine.Engine
	managers   []*managers.Manager
	port       net.Listener
	http       *http.Server
	serving    atomic.Pointer[http.Server] // http, once it serves
	endStreams context.CancelFunc          // also makes the node say that it is not ready

	started atomic.Bool
	failed  sync.Once
	tasks   sync.WaitGroup
}

// New opens the ports and the data directory. Close or Run must follow.
func New(cfg Config, opts Options) (*Server, error) {
	if opts.Exit == nil {
		return nil, errors.New("server: Options.Exit is required")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, logger: opts.Logger, managers: opts.Managers}
	// The port first: a second start of the same node fails here, with the data
	// directory untouched.
	port, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the API's port: %w", err)
	}
	s.port = port
	s.cfg.Listen = port.Addr().String() // with the port that 0 stood for
	nodeConfig := s.nodeConfig(opts)
	if err := s.addMachines(&nodeConfig); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	if opts.Tune != nil {
		opts.Tune(&nodeConfig)
	}
	if s.node, err = consensus.Open(nodeConfig); err != nil {
		return nil, errors.Join(fmt.Errorf("open node: %w", err), port.Close())
	}
	if err := s.openHTTP(); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), handOver)
		defer cancel()
		return nil, errors.Join(err, s.node.Close(ctx), port.Close())
	}
	return s, nil
}

// addMachines adds the state machines above the journal, and what runs of them where
// the node leads.
func (s *Server) addMachines(c *consensus.Config) error {
	table := timers.New()
	s.router = router.New(table, s.logger)
	s.router.Limits = c.Limits
	keys := kv.New(table)
	keys.Limits = c.Limits
	s.cron = cron.New(table, s.router, keys, s.logger)
	s.cron.Limits = c.Limits
	s.router.Tell(s.cron)
	s.workflows = engine.New(table, s.router, s.logger)
	s.workflows.Limits = c.Limits
	s.router.Tell(s.workflows)
	s.cron.Runs = s.workflows
	s.workflows.Tell(s.cron)
	mux, err := consensus.NewMux(table, s.router, keys, s.cron, s.workflows)
	if err != nil {
		return fmt.Errorf("set up state machines: %w", err)
	}
	c.Machines = mux
	c.Leading = []func(context.Context, *consensus.Node) error{
		func(ctx context.Context, n *consensus.Node) error { return table.Run(ctx, n, s.logger) },
		func(ctx context.Context, n *consensus.Node) error { return s.router.Lead(ctx, n) },
		func(ctx context.Context, n *consensus.Node) error { return s.cron.Lead(ctx, n) },
		func(ctx context.Context, n *consensus.Node) error { return s.workflows.Lead(ctx, n) },
	}
	return nil
}

func (s *Server) nodeConfig(opts Options) consensus.Config {
	c := s.cfg
	peers := make([]consensus.Peer, len(c.Peers))
	for i, p := range c.Peers {
		peers[i] = consensus.Peer{Name: p.ID, Address: p.Address}
	}
	var seeds func(context.Context) []string
	if len(c.Join) > 0 {
		seeds = func(ctx context.Context) []string { return raftAddresses(ctx, c.Join, s.logger) }
	}
	return consensus.Config{
		Name: c.NodeID, Dir: c.DataDir, Peers: peers, Seeds: seeds, Replace: c.Replace,
		RaftListen: c.RaftListen, RaftAdvertise: c.raftAddress(), APIURL: c.APIURL(),
		Limits:        c.Limits,
		FlushInterval: c.FlushInterval, SegmentBytes: c.SegmentBytes, Window: c.DedupWindow, SessionTTL: c.SessionTTL,
		SnapshotLogBytes: c.SnapshotLogBytes, TrailingLogBytes: c.TrailingLogBytes,
		CatchupRate: c.CatchupRate,
		ScrubRate:   c.ScrubRate, ScrubInterval: c.ScrubInterval,
		DiskReserve:      uint64(c.DiskReserve),
		HeartbeatTimeout: c.HeartbeatTimeout, ElectionTimeout: c.ElectionTimeout, LeaseTimeout: c.LeaseTimeout,
		Fatal:      func(code int, err error) { s.fatal(opts, code, err) },
		Logger:     s.logger,
		RaftLogger: raftLogger(s.logger),
	}
}

// URL is where the API listens.
func (s *Server) URL() string { return "http://" + s.cfg.Listen }

// Node is the node itself.
func (s *Server) Node() *consensus.Node { return s.node }

// Run serves until ctx ends, then stops gracefully. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	if s.started.Swap(true) {
		return errors.New("server: Run was called before")
	}
	if s.cfg.Insecure {
		s.logger.Warn("nothing is encrypted or authenticated (insecure)")
	}
	s.logger.Info("node runs", "node_id", s.cfg.NodeID, "server_id", s.node.ServerID(), "data_dir", s.cfg.DataDir,
		"api", s.cfg.APIURL(), "raft", s.cfg.raftAddress(), "version", ReadBuild().Version)
	failed := make(chan error, 1)
	s.serving.Store(s.http)
	s.tasks.Go(func() {
		if err := s.http.Serve(s.port); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve the API: %w", err)
		}
	})
	running, err := s.startManagers()
	if err != nil {
		return errors.Join(err, s.stop(&runningManagers{stop: func() {}}))
	}
	watched, stopWatching := context.WithCancel(ctx)
	s.tasks.Go(func() { s.watchReady(watched) })
	select {
	case <-ctx.Done():
		s.logger.Info("node stops", "reason", context.Cause(ctx))
	case err = <-failed:
		s.logger.Error("API failed", "error", err)
	}
	stopWatching()
	return errors.Join(err, s.stop(running))
}

// Close releases what New opened. It is for a server that is not run.
func (s *Server) Close() error {
	if s.started.Swap(true) {
		return nil
	}
	return errors.Join(s.stop(&runningManagers{stop: func() {}}), ignoreClosed(s.port.Close()))
}

// ErrStopTooSlow says that the graceful stop took too long and was left.
var ErrStopTooSlow = errors.New("graceful stop took too long")

func (s *Server) stop(running *runningManagers) error {
	done := make(chan error, 1)
	go func() { done <- s.stopParts(running) }()
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case err := <-done:
		if err == nil {
			s.logger.Info("node has stopped")
		}
		return err
	case <-timer.C:
		return ErrStopTooSlow // and the process ends with its goroutines
	}
}

// stopParts ends one part after the other: the node hands leadership over, nobody
// is sent here any more, nobody is served, what is in memory is written.
// Leadership goes first, so that the cluster accepts writes while the rest ends.
func (s *Server) stopParts(running *runningManagers) error {
	if err := running.end(finishManagers); err != nil {
		s.logger.Warn("managers are cut off", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOver)
	s.node.HandOver(ctx)
	cancel()
	s.endStreams()
	ctx, cancel = context.WithTimeout(context.Background(), finishRequests)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.logger.Warn("requests are cut off", "error", err)
		err = ignoreClosed(s.http.Close())
	}
	s.tasks.Wait()
	ctx, cancel = context.WithTimeout(context.Background(), handOver)
	defer cancel()
	if cerr := s.node.Close(ctx); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close node: %w", cerr))
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// readyInterval is how often the log is told whether the node is ready.
const readyInterval = 250 * time.Millisecond

// watchReady logs when the node becomes ready, and when it no longer is.
func (s *Server) watchReady(ctx context.Context) {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	was := false
	for {
		err := s.node.Ready()
		if ready := err == nil; ready != was {
			was = ready
			leader, _ := s.node.Leader()
			if ready {
				s.logger.Info("node is ready", "leader", leader)
			} else {
				s.logger.Warn("node is not ready", "reason", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
