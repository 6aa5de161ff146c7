package transport

import (
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

// What a connection is for: its first bytes.
const (
	preambleMagic   = "edri"
	preambleVersion = 1
	preambleBytes   = 8

	forRaft    = 'r'
	forHello   = 'h'
	forForward = 'f'
)

const (
	// A peer that does not say what it wants within this time is cut off.
	preambleTimeout = 5 * time.Second
	dialTimeout     = 2 * time.Second
	// Raft's calls other than snapshots; the connection is dropped after it.
	rpcTimeout = 5 * time.Second
	// Connections that wait for Raft to accept them.
	acceptQueue = 16
)

// A dead host is noticed by these probes within about 15 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

// Config configures a Port.
type Config struct {
	Listen    string // host:port
	Advertise string // where peers dial; default: the address that Listen got

	// Resolve returns the address of a peer by its server id, "" to dial the one
	// in Raft's configuration.
	Resolve func(id raft.ServerID) string

	Hello   func() ([]byte, error) // answers hello requests
	Serve   Handler                // answers forwarded requests
	State   State                  // what this node is to Raft
	Staging string                 // directory for received snapshots

	// Wrap secures a connection, as its server or as its client, before anything
	// is read from it; nil for none.
	Wrap func(conn net.Conn, server bool) (net.Conn, error)

	RaftLogger hclog.Logger
	Logger     *slog.Logger
}

// Port is this node's raft port and its connections to the peers'.
type Port struct {
	cfg      Config
	listener net.Listener
	address  net.Addr
	raft     *Raft
	rounds   *Rounds

	accepted chan net.Conn // Raft's
	stop     chan struct{}
	once     sync.Once
	done     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // accepted and open
	links map[raft.ServerID]*link
}

// Open listens on the raft port.
func Open(cfg Config) (*Port, error) {
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on the raft port: %w", err)
	}
	if cfg.Advertise == "" {
		cfg.Advertise = listener.Addr().String()
	}
	p := &Port{
		cfg:      cfg,
		listener: listener,
		address:  advertised(cfg.Advertise),
		rounds:   NewRounds(),
		accepted: make(chan net.Conn, acceptQueue),
		stop:     make(chan struct{}),
		conns:    map[net.Conn]struct{}{},
		links:    map[raft.ServerID]*link{},
	}
	inner := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: p,
		Logger:                cfg.RaftLogger,
		Stream:                stream{p},
		MaxPool:               3,
		MaxRPCsInFlight:       1, // off: see the package documentation
		Timeout:               rpcTimeout,
	})
	p.raft = WrapRaft(inner, p.rounds, cfg.State, cfg.Staging)
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

// ServerAddr implements raft.ServerAddressProvider.
func (p *Port) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if address := p.cfg.Resolve(id); address != "" {
		return raft.ServerAddress(address), nil
	}
	return "", fmt.Errorf("no address of %s is known", id)
}

// Close ends all connections and waits for their goroutines. It is safe to call
// twice.
func (p *Port) Close() error {
	var err error
	p.once.Do(func() {
		close(p.stop)
		err = p.listener.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		links := p.links
		p.links = nil
		p.mu.Unlock()
		for _, l := range links {
			l.close()
		}
		err = errors.Join(err, p.raft.Close())
		p.done.Wait()
	})
	return err
}

func (p *Port) accept() {
	defer p.done.Done()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.stop:
				return
			case <-time.After(10 * time.Millisecond): // out of descriptors, perhaps
				p.cfg.Logger.Warn("a connection was not accepted", "error", err)
				continue
			}
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
	if p.links == nil {
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

// drop closes a connection and forgets it.
func (p *Port) drop(conn net.Conn) error {
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
	return conn.Close()
}

// greet reads what an accepted connection is for and hands it on.
func (p *Port) greet(raw net.Conn) {
	conn, purpose, err := p.readPreamble(raw)
	if err != nil {
		p.cfg.Logger.Debug("a connection to the raft port was refused", "remote", raw.RemoteAddr().String(), "error", err)
		_ = p.drop(raw)
		return
	}
	switch purpose {
	case forRaft:
		select {
		case p.accepted <- trackedConn{conn, raw, p}:
		case <-p.stop:
			_ = p.drop(raw)
		}
		return
	case forHello:
		err = p.answerHello(conn)
	case forForward:
		err = serveFrames(conn, p.cfg.Serve, p.stop)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		p.cfg.Logger.Debug("a connection to the raft port ended", "purpose", string(purpose), "error", err)
	}
	_ = p.drop(raw)
}

func (p *Port) readPreamble(raw net.Conn) (net.Conn, byte, error) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		if err := tcp.SetKeepAliveConfig(keepAlive); err != nil {
			return nil, 0, fmt.Errorf("set keep-alive: %w", err)
		}
	}
	if err := raw.SetDeadline(time.Now().Add(preambleTimeout)); err != nil {
		return nil, 0, fmt.Errorf("set deadline: %w", err)
	}
	conn := raw
	if p.cfg.Wrap != nil {
		var err error
		if conn, err = p.cfg.Wrap(raw, true); err != nil {
			return nil, 0, fmt.Errorf("secure connection: %w", err)
		}
	}
	var b [preambleBytes]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return nil, 0, fmt.Errorf("read preamble: %w", err)
	}
	purpose, err := parsePreamble(b)
	if err != nil {
		return nil, 0, err
	}
	return conn, purpose, raw.SetDeadline(time.Time{})
}

func parsePreamble(b [preambleBytes]byte) (byte, error) {
	if string(b[:4]) != preambleMagic || b[6] != 0 || b[7] != 0 {
		return 0, fmt.Errorf("not an edri connection: %q", b[:])
	}
	if b[4] != preambleVersion {
		return 0, fmt.Errorf("protocol version %d, this node speaks %d", b[4], preambleVersion)
	}
	switch b[5] {
	case forRaft, forHello, forForward:
		return b[5], nil
	}
	return 0, fmt.Errorf("unknown purpose %q", b[5])
}

func preamble(purpose byte) []byte {
	return []byte{preambleMagic[0], preambleMagic[1], preambleMagic[2], preambleMagic[3], preambleVersion, purpose, 0, 0}
}

// dial opens a connection to a peer's raft port.
func (p *Port) dial(ctx context.Context, address string, purpose byte) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if p.cfg.Wrap != nil {
		secured, err := p.cfg.Wrap(conn, false)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("secure connection to %s: %w", address, err), conn.Close())
		}
		conn = secured
	}
	if _, err := conn.Write(preamble(purpose)); err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// stream is the port as raft.NetworkTransport sees it.
type stream struct{ port *Port }

var _ raft.StreamLayer = stream{}

func (s stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.port.accepted:
		return conn, nil
	case <-s.port.stop:
		return nil, net.ErrClosed
	}
}

func (s stream) Close() error   { return nil } // Port.Close does
func (s stream) Addr() net.Addr { return s.port.address }

func (s stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout) // Raft gives no context
	defer cancel()
	return s.port.dial(ctx, string(address), forRaft)
}

// trackedConn leaves the port's list when Raft closes it.
type trackedConn struct {
	net.Conn
	raw  net.Conn
	port *Port
}

func (c trackedConn) Close() error {
	if c.Conn != c.raw {
		return errors.Join(c.Conn.Close(), c.port.drop(c.raw))
	}
	return c.port.drop(c.raw)
}

// advertised is an address as a net.Addr.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
