package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	// A peer that does not say what it wants within this time is cut off.
	preambleTimeout = 5 * time.Second
	dialTimeout     = 2 * time.Second
	// Raft's calls: for each write of one, and from the last to the answer. The
	// connection is dropped after it.
	rpcTimeout = 5 * time.Second
	// A call of which no byte comes for this long is over.
	callIdle = 10 * time.Second
	// Connections that wait for Raft to accept them, and that have not said yet what
	// they are for. More are closed at once.
	acceptQueue = 16
	maxGreeting = 128
)

// A dead host is noticed by these probes within about 15 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

// Config configures a Port.
type Config struct {
	Listen string // host:port

	// ID is this node's server id, and to Raft its address too: host and port may
	// change and move to another node, and Raft, which compares addresses where it
	// means nodes, must not notice. Connections meant for another id are refused.
	// Empty, for tests: the address that Listen got, and none is refused.
	ID raft.ServerID

	// Resolve returns the address of a peer by its server id, "" to dial the one
	// in Raft's configuration. It is asked before each call, so addresses may change.
	// Nil: always "".
	Resolve func(id raft.ServerID) string

	// Hello answers the introduction of another node with this node's.
	Hello   func(from []byte) ([]byte, error)
	Serve   Handler  // answers forwarded requests
	State   State    // what this node is to Raft
	Base    Base     // what its raft log need not hold; nil: nothing
	Receive Receiver // takes snapshots

	// Segments opens a sealed segment for a peer; ErrNoSegment where there is none.
	Segments func(Segment) (SegmentFile, error)
	// SegmentRate is how many bytes of segments are sent a second; default
	// DefaultSegmentRate.
	SegmentRate int64

	// Image is what a node gets that has lost its state, and its size. It is closed
	// when it was sent or the connection broke.
	Image func() (io.ReadCloser, int64, error)

	// Wrap secures a connection, as its server or as its client, before anything
	// is read from it; nil for none.
	Wrap func(conn net.Conn, server bool) (net.Conn, error)

	RaftLogger hclog.Logger // default: discards
	Logger     *slog.Logger // default: discards

	callIdle     time.Duration // default callIdle; shorter in tests
	replyTimeout time.Duration // default replyTimeout; shorter in tests
}

func (c *Config) normalise() {
	if c.Resolve == nil {
		c.Resolve = func(raft.ServerID) string { return "" }
	}
	if c.Hello == nil {
		c.Hello = func([]byte) ([]byte, error) { return nil, errors.New("this node does not introduce itself") }
	}
	if c.Serve == nil {
		c.Serve = func(_ byte, _ []byte, reply func([]byte)) { reply(nil) }
	}
	if c.State == nil {
		c.State = func() (raft.RaftState, uint64) { return raft.Shutdown, 0 }
	}
	if c.Receive == nil {
		c.Receive = func(context.Context, io.Reader, *raft.InstallSnapshotRequest) (func(), error) {
			return nil, errors.New("this node takes no snapshots")
		}
	}
	if c.Segments == nil {
		c.Segments = func(Segment) (SegmentFile, error) { return nil, ErrNoSegment }
	}
	c.SegmentRate = cmp.Or(c.SegmentRate, DefaultSegmentRate)
	if c.Image == nil {
		c.Image = func() (io.ReadCloser, int64, error) { return nil, 0, ErrNoImage }
	}
	c.callIdle = cmp.Or(c.callIdle, callIdle)
	c.replyTimeout = cmp.Or(c.replyTimeout, replyTimeout)
	if c.RaftLogger == nil {
		c.RaftLogger = hclog.NewNullLogger()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Port is this node's raft port and its connections to the peers'.
type Port struct {
	cfg      Config
	listener net.Listener
	address  net.Addr
	raft     *Raft
	rounds   *Rounds

	accepted chan net.Conn // Raft's
	greeting chan struct{} // a token for each connection that is being greeted
	sending  chan struct{} // a token for each segment that is being sent
	pace     pace          // of all segments together
	lifetime context.Context
	end      context.CancelFunc
	once     sync.Once
	done     sync.WaitGroup // the port's own goroutines
	served   sync.WaitGroup // connections that Raft has, or will be given

	mu    sync.Mutex
	conns map[net.Conn]struct{} // open; nil once the port is closed
	links map[raft.ServerID]*link
	// To whom snapshots are on their way, by address.
	installs map[string]raft.ServerID
}

// Open listens on the raft port.
func Open(cfg Config) (*Port, error) {
	cfg.normalise()
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on the raft port: %w", err)
	}
	p := &Port{
		cfg:      cfg,
		listener: listener,
		address:  identified(cmp.Or(string(cfg.ID), listener.Addr().String())),
		rounds:   NewRounds(),
		accepted: make(chan net.Conn, acceptQueue),
		greeting: make(chan struct{}, maxGreeting),
		sending:  make(chan struct{}, maxSendingSegments),
		pace:     pace{rate: cfg.SegmentRate},
		installs: map[string]raft.ServerID{},
		conns:    map[net.Conn]struct{}{},
		links:    map[raft.ServerID]*link{},
	}
	p.lifetime, p.end = context.WithCancel(context.Background()) // the port's own life
	inner := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Logger:          cfg.RaftLogger,
		Stream:          stream{p},
		MaxPool:         3, // heartbeats, replication, a vote
		MaxRPCsInFlight: 1, // no pipelining: 0 is 2
		Timeout:         rpcTimeout,
	})
	p.raft = WrapRaft(resolving{inner, p.cfg.Resolve, p.installing}, p.rounds, cfg.State, cfg.Base, cfg.Receive)
	p.done.Add(1)
	go p.accept()
	return p, nil
}

// Raft returns Raft's transport.
func (p *Port) Raft() *Raft { return p.raft }

// Rounds returns the numbering of what Raft sends.
func (p *Port) Rounds() *Rounds { return p.rounds }

// Addr returns the address that the port listens on.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// Close ends all connections and waits for their goroutines. It is safe to call
// twice.
func (p *Port) Close() error {
	var err error
	p.once.Do(func() {
		p.end()
		err = p.listener.Close()
		p.mu.Lock()
		conns, links := p.conns, p.links
		p.conns, p.links = nil, nil
		p.mu.Unlock()
		for c := range conns {
			_ = c.Close()
		}
		for _, l := range links {
			l.close()
		}
		err = errors.Join(err, p.raft.Close())
		p.done.Wait()
		stream{p}.drain()
		p.served.Wait()
	})
	return err
}

func (p *Port) accept() {
	defer p.done.Done()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.lifetime.Done():
				return
			case <-time.After(10 * time.Millisecond): // out of descriptors, perhaps
				p.cfg.Logger.Warn("a connection was not accepted", "error", err)
				continue
			}
		}
		select {
		case p.greeting <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		if !p.track(conn) {
			_ = conn.Close()
			return
		}
		p.done.Add(1)
		go func() {
			defer p.done.Done()
			p.greet(conn)
		}()
	}
}

// track remembers a connection for Close; false after it.
func (p *Port) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

// forget ends what track began.
func (p *Port) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// greet reads what an accepted connection is for and serves it, or hands it to Raft.
func (p *Port) greet(raw net.Conn) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // without it a dead host is noticed late
	}
	conn, purpose, err := p.receivePreamble(raw)
	<-p.greeting
	if err != nil {
		p.cfg.Logger.Debug("a connection to the raft port was refused", "remote", raw.RemoteAddr().String(), "error", err)
		p.drop(raw)
		return
	}
	switch purpose {
	case forRaft:
		p.served.Add(1)
		called := &calledConn{Conn: conn, idle: p.cfg.callIdle, closed: func() { p.forget(raw); p.served.Done() }}
		select {
		case p.accepted <- called:
		case <-p.lifetime.Done():
			_ = called.Close()
		}
		return
	case forHello:
		err = p.answerHello(conn)
	case forForward:
		err = serveFrames(conn, p.cfg.Serve)
	case forSegment:
		err = p.serveSegment(conn)
	case forImage:
		err = p.serveImage(conn)
	}
	if err != nil && !errors.Is(err, io.EOF) && p.lifetime.Err() == nil {
		p.cfg.Logger.Debug("a connection to the raft port ended", "purpose", string(purpose), "error", err)
	}
	_ = conn.Close()
	p.drop(raw)
}

func (p *Port) drop(raw net.Conn) {
	_ = raw.Close()
	p.forget(raw)
}

// dial opens a connection to the raft port of a server. The caller tracks it.
func (p *Port) dial(ctx context.Context, to raft.ServerID, address string, purpose byte) (net.Conn, error) {
	greeting, err := preamble(purpose, to)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if err := raw.SetDeadline(time.Now().Add(preambleTimeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("set deadline: %w", err), raw.Close())
	}
	conn, err := secure(raw, p.cfg.Wrap, false)
	if err == nil {
		_, err = conn.Write(greeting)
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", address, err), raw.Close())
	}
	return conn, nil
}

// installing notes that a snapshot is on its way to a peer, until done is called.
func (p *Port) installing(peer raft.ServerID, address raft.ServerAddress) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.installs[string(address)] = peer
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.installs, string(address))
	}
}

// installAlive reports whether a snapshot is on its way to an address whose node
// has answered something lately.
func (p *Port) installAlive(address string) bool {
	p.mu.Lock()
	peer, installing := p.installs[address]
	p.mu.Unlock()
	return installing && time.Since(p.rounds.LastAck(peer)) < p.cfg.callIdle
}

// stream is the port as raft.NetworkTransport sees it.
type stream struct{ port *Port }

var _ raft.StreamLayer = stream{}

func (s stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.port.accepted:
		return conn, nil
	case <-s.port.lifetime.Done():
		return nil, net.ErrClosed
	}
}

// drain closes what Raft will not accept any more.
func (s stream) drain() {
	for {
		select {
		case conn := <-s.port.accepted:
			_ = conn.Close()
		default:
			return
		}
	}
}

func (s stream) Close() error   { return nil } // Port.Close does
func (s stream) Addr() net.Addr { return s.port.address }

func (s stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.port.lifetime, timeout) // Raft gives no context
	defer cancel()
	id, host := splitTarget(address)
	conn, err := s.port.dial(ctx, id, host, forRaft)
	if err != nil {
		return nil, err
	}
	calling := &callingConn{Conn: conn, alive: func() bool { return s.port.installAlive(string(address)) }}
	calling.closed = func() { s.port.forget(calling) }
	if !s.port.track(calling) {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return calling, nil
}

// identified is a server id as a net.Addr.
type identified string

func (identified) Network() string  { return "edri" }
func (a identified) String() string { return string(a) }
