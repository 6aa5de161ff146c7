package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
)

// follower is a node that follows one at a URL.
type follower struct {
	*fakeNode
	leader string
}

func (f follower) Leader() (serverID, apiURL string) { return "n2-1", f.leader }

// leaderThat serves Deliver as a leader would.
func leaderThat(t *testing.T, serve func(*connect.BidiStream[edriv1.DeliverRequest, edriv1.DeliverResponse]) error) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(edriv1connect.SubscriptionsDeliverProcedure, connect.NewBidiStreamHandler(edriv1connect.SubscriptionsDeliverProcedure,
		func(_ context.Context, stream *connect.BidiStream[edriv1.DeliverRequest, edriv1.DeliverResponse]) error {
			return serve(stream)
		}))
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// member opens a stream at a follower of that leader.
func memberAt(t *testing.T, leader string) *connect.BidiStreamForClient[edriv1.DeliverRequest, edriv1.DeliverResponse] {
	t.Helper()
	s, err := newService(Config{Node: follower{newFakeNode(t), leader}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.bounded(s.atLeader(http.NotFoundHandler())))
	server.Config = NewServer(server.Config.Handler)
	server.Start()
	t.Cleanup(server.Close)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	client := edriv1connect.NewSubscriptionsClient(&http.Client{Transport: transport}, server.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return client.Deliver(ctx)
}

// A leader that steps down ends the streams of members that wait for it, and have
// nothing to say: their followers must not wait for the rest of the request.
func TestAStreamThatTheLeaderEndsIsEndedByItsFollower(t *testing.T) {
	t.Parallel()
	stream := memberAt(t, leaderThat(t, func(stream *connect.BidiStream[edriv1.DeliverRequest, edriv1.DeliverResponse]) error {
		if _, err := stream.Receive(); err != nil {
			return err
		}
		if err := stream.Send(&edriv1.DeliverResponse{}); err != nil {
			return err
		}
		return connect.NewError(connect.CodeUnavailable, errors.New("this node no longer leads"))
	}))
	if err := stream.Send(&edriv1.DeliverRequest{Subscription: "s"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	_, err := stream.Receive()
	if connect.CodeOf(err) != connect.CodeUnavailable || err.Error() != "unavailable: this node no longer leads" {
		t.Errorf("got %v, want the leader's error", err)
	}
	_ = stream.CloseResponse() // the error is known
}

// breakable passes connections on to a server until it is broken.
func breakable(t *testing.T, server string) (url string, breakAll func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	breakAll = func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
	}
	t.Cleanup(breakAll)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return // it is broken
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(server, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			go func() { _, _ = io.Copy(in, out) }()
			go func() { _, _ = io.Copy(out, in) }()
		}
	}()
	return "http://" + l.Addr().String(), breakAll
}

// A member that waits, and has nothing to say, learns that the leader is gone: else it
// would be the member of nobody, for ever.
func TestAStreamToALeaderThatDiesIsEndedByItsFollower(t *testing.T) {
	t.Parallel()
	url, breakAll := breakable(t, leaderThat(t, func(stream *connect.BidiStream[edriv1.DeliverRequest, edriv1.DeliverResponse]) error {
		for {
			if _, err := stream.Receive(); err != nil {
				return err
			}
			if err := stream.Send(&edriv1.DeliverResponse{}); err != nil {
				return err
			}
		}
	}))
	stream := memberAt(t, url)
	if err := stream.Send(&edriv1.DeliverRequest{Subscription: "s"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	breakAll()
	if _, err := stream.Receive(); err == nil || connect.CodeOf(err) == connect.CodeDeadlineExceeded {
		t.Errorf("got %v, want the stream's end", err)
	}
	_ = stream.CloseResponse() // the error is known
}

func TestAStreamGoesBothWaysThroughAFollower(t *testing.T) {
	t.Parallel()
	stream := memberAt(t, leaderThat(t, func(stream *connect.BidiStream[edriv1.DeliverRequest, edriv1.DeliverResponse]) error {
		for {
			r, err := stream.Receive()
			if err != nil {
				return nil // the member has ended its side
			}
			if err := stream.Send(&edriv1.DeliverResponse{Lost: []*edriv1.Held{{Position: uint64(r.Credits)}}}); err != nil {
				return err
			}
		}
	}))
	for n := range uint32(3) {
		if err := stream.Send(&edriv1.DeliverRequest{Credits: n}); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Receive()
		if err != nil || got.Lost[0].Position != uint64(n) {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	if err := stream.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Receive(); err == nil {
		t.Error("the stream goes on")
	}
	_ = stream.CloseResponse() // it is over
}

func TestALeaderThatCannotBeReachedIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, leader := range []string{"", "http://127.0.0.1:1"} {
		stream := memberAt(t, leader)
		_ = stream.Send(&edriv1.DeliverRequest{Subscription: "s"}) // the answer tells
		if _, err := stream.Receive(); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("leader %q: got %v", leader, err)
		}
		_ = stream.CloseResponse() // it is over
	}
}
