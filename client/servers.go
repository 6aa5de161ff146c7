package client

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
)

// Frames of the procedures that the client calls.
type (
	commitFrame       = wire.Frame[edriv1.Commit]
	commitResultFrame = wire.Frame[edriv1.CommitResult]
	commitsFrame      = wire.Frame[edriv1.CommitFrame]
	resultsFrame      = wire.Frame[edriv1.CommitResultFrame]
	responseFrame     = wire.Frame[edriv1.ReadResponse]
	recordedFrame     = wire.Frame[edriv1.RecordedEvent]
	memberFrame       = wire.Frame[edriv1.DeliverRequest]
	deliveriesFrame   = wire.Frame[edriv1.DeliverResponse]
	sendFrame         = wire.Frame[edriv1.SendRequest]
	outcomeFrame      = wire.Frame[edriv1.RequestOutcome]
)

// maxResponse bounds one message from a server; the largest are reads, of a batch
// or a single event of 1 MiB with its attributes.
const maxResponse = 16 << 20

// server is one node's procedures.
type server struct {
	url          string
	commit       *connect.Client[commitFrame, commitResultFrame]
	commitStream *connect.Client[commitsFrame, resultsFrame]
	read         *connect.Client[edriv1.ReadRequest, responseFrame]
	tail         *connect.Client[edriv1.ReadRequest, responseFrame]
	get          *connect.Client[edriv1.GetRequest, recordedFrame]
	listStreams  *connect.Client[edriv1.ListStreamsRequest, edriv1.ListStreamsResponse]
	status       *connect.Client[edriv1.StatusRequest, edriv1.StatusResponse]
	remove       *connect.Client[edriv1.RemoveMemberRequest, edriv1.MemberResponse]
	replace      *connect.Client[edriv1.ReplaceMemberRequest, edriv1.MemberResponse]
	backup       *connect.Client[edriv1.BackupRequest, edriv1.BackupResponse]
	getRetention *connect.Client[edriv1.GetRetentionRequest, edriv1.RetentionResponse]
	setRetention *connect.Client[edriv1.SetRetentionRequest, edriv1.RetentionResponse]
	purgeStream  *connect.Client[edriv1.PurgeStreamRequest, edriv1.PurgeStreamResponse]

	deliver *connect.Client[memberFrame, deliveriesFrame]
	send    *connect.Client[sendFrame, edriv1.RequestSent]
	call    *connect.Client[sendFrame, outcomeFrame]
	attach  *connect.Client[edriv1.AttachRequest, outcomeFrame]
	subscriptions
	keys
	schedules schedules
	workflows runs
}

// subscriptions are a node's procedures that have to do with them, but deliver.
type subscriptions struct {
	create   *connect.Client[edriv1.CreateSubscription, edriv1.Subscription]
	update   *connect.Client[edriv1.UpdateSubscription, edriv1.Subscription]
	delete   *connect.Client[edriv1.DeleteSubscription, edriv1.DeleteSubscriptionResponse]
	pause    *connect.Client[edriv1.PauseSubscription, edriv1.Subscription]
	seek     *connect.Client[edriv1.SeekSubscription, edriv1.Subscription]
	show     *connect.Client[edriv1.GetSubscriptionRequest, edriv1.Subscription]
	list     *connect.Client[edriv1.ListSubscriptionsRequest, edriv1.ListSubscriptionsResponse]
	listDead *connect.Client[edriv1.ListDeadRequest, edriv1.ListDeadResponse]
	redrive  *connect.Client[edriv1.Redrive, edriv1.Redriven]
}

func newServer(h connect.HTTPClient, url string) *server {
	options := connect.WithClientOptions(
		connect.WithCodec(wire.Binary{}),
		connect.WithReadMaxBytes(maxResponse),
		// To compress costs more than it saves between the machines of one site.
		connect.WithAcceptCompression("gzip", nil, nil),
	)
	return &server{
		url:          url,
		commit:       connect.NewClient[commitFrame, commitResultFrame](h, url+edriv1connect.EventsCommitProcedure, options),
		commitStream: connect.NewClient[commitsFrame, resultsFrame](h, url+edriv1connect.EventsCommitStreamProcedure, options),
		read:         connect.NewClient[edriv1.ReadRequest, responseFrame](h, url+edriv1connect.EventsReadProcedure, options),
		tail:         connect.NewClient[edriv1.ReadRequest, responseFrame](h, url+edriv1connect.EventsTailProcedure, options),
		get:          connect.NewClient[edriv1.GetRequest, recordedFrame](h, url+edriv1connect.EventsGetProcedure, options),
		listStreams: connect.NewClient[edriv1.ListStreamsRequest, edriv1.ListStreamsResponse](
			h, url+edriv1connect.EventsListStreamsProcedure, options),
		status: connect.NewClient[edriv1.StatusRequest, edriv1.StatusResponse](
			h, url+edriv1connect.ClusterStatusProcedure, options),
		remove: connect.NewClient[edriv1.RemoveMemberRequest, edriv1.MemberResponse](
			h, url+edriv1connect.ClusterRemoveMemberProcedure, options),
		replace: connect.NewClient[edriv1.ReplaceMemberRequest, edriv1.MemberResponse](
			h, url+edriv1connect.ClusterReplaceMemberProcedure, options),
		backup: connect.NewClient[edriv1.BackupRequest, edriv1.BackupResponse](
			h, url+edriv1connect.AdminBackupProcedure, options),
		getRetention: connect.NewClient[edriv1.GetRetentionRequest, edriv1.RetentionResponse](
			h, url+edriv1connect.ClusterGetRetentionProcedure, options),
		setRetention: connect.NewClient[edriv1.SetRetentionRequest, edriv1.RetentionResponse](
			h, url+edriv1connect.ClusterSetRetentionProcedure, options),
		purgeStream: connect.NewClient[edriv1.PurgeStreamRequest, edriv1.PurgeStreamResponse](
			h, url+edriv1connect.ClusterPurgeStreamProcedure, options),
		deliver: connect.NewClient[memberFrame, deliveriesFrame](h, url+edriv1connect.SubscriptionsDeliverProcedure, options),
		send:    connect.NewClient[sendFrame, edriv1.RequestSent](h, url+edriv1connect.RequestsSendProcedure, options),
		call:    connect.NewClient[sendFrame, outcomeFrame](h, url+edriv1connect.RequestsCallProcedure, options),
		attach:  connect.NewClient[edriv1.AttachRequest, outcomeFrame](h, url+edriv1connect.RequestsAttachProcedure, options),

		subscriptions: newSubscriptions(h, url, options),
		keys:          newKeys(h, url, options),
		schedules:     newSchedules(h, url, options),
		workflows:     newRuns(h, url, options),
	}
}

func newSubscriptions(h connect.HTTPClient, url string, options connect.ClientOption) subscriptions {
	return subscriptions{
		create:   connect.NewClient[edriv1.CreateSubscription, edriv1.Subscription](h, url+edriv1connect.SubscriptionsCreateProcedure, options),
		update:   connect.NewClient[edriv1.UpdateSubscription, edriv1.Subscription](h, url+edriv1connect.SubscriptionsUpdateProcedure, options),
		delete:   connect.NewClient[edriv1.DeleteSubscription, edriv1.DeleteSubscriptionResponse](h, url+edriv1connect.SubscriptionsDeleteProcedure, options),
		pause:    connect.NewClient[edriv1.PauseSubscription, edriv1.Subscription](h, url+edriv1connect.SubscriptionsPauseProcedure, options),
		seek:     connect.NewClient[edriv1.SeekSubscription, edriv1.Subscription](h, url+edriv1connect.SubscriptionsSeekProcedure, options),
		show:     connect.NewClient[edriv1.GetSubscriptionRequest, edriv1.Subscription](h, url+edriv1connect.SubscriptionsGetProcedure, options),
		list:     connect.NewClient[edriv1.ListSubscriptionsRequest, edriv1.ListSubscriptionsResponse](h, url+edriv1connect.SubscriptionsListProcedure, options),
		listDead: connect.NewClient[edriv1.ListDeadRequest, edriv1.ListDeadResponse](h, url+edriv1connect.SubscriptionsListDeadProcedure, options),
		redrive:  connect.NewClient[edriv1.Redrive, edriv1.Redriven](h, url+edriv1connect.SubscriptionsRedriveProcedure, options),
	}
}

// keys are a node's procedures that read keys; to change them is to commit.
type keys struct {
	getKey      *connect.Client[edriv1.GetKeyRequest, edriv1.KeyEntry]
	getMany     *connect.Client[edriv1.GetManyKeysRequest, edriv1.GetManyKeysResponse]
	listKeys    *connect.Client[edriv1.ListKeysRequest, edriv1.ListKeysResponse]
	keyHistory  *connect.Client[edriv1.KeyHistoryRequest, edriv1.KeyHistoryResponse]
	watchKeys   *connect.Client[edriv1.WatchKeysRequest, edriv1.WatchKeysResponse]
	getBucket   *connect.Client[edriv1.GetBucketRequest, edriv1.Bucket]
	listBuckets *connect.Client[edriv1.ListBucketsRequest, edriv1.ListBucketsResponse]
}

func newKeys(h connect.HTTPClient, url string, options connect.ClientOption) keys {
	return keys{
		getKey:      connect.NewClient[edriv1.GetKeyRequest, edriv1.KeyEntry](h, url+edriv1connect.KeysGetProcedure, options),
		getMany:     connect.NewClient[edriv1.GetManyKeysRequest, edriv1.GetManyKeysResponse](h, url+edriv1connect.KeysGetManyProcedure, options),
		listKeys:    connect.NewClient[edriv1.ListKeysRequest, edriv1.ListKeysResponse](h, url+edriv1connect.KeysListProcedure, options),
		keyHistory:  connect.NewClient[edriv1.KeyHistoryRequest, edriv1.KeyHistoryResponse](h, url+edriv1connect.KeysHistoryProcedure, options),
		watchKeys:   connect.NewClient[edriv1.WatchKeysRequest, edriv1.WatchKeysResponse](h, url+edriv1connect.KeysWatchProcedure, options),
		getBucket:   connect.NewClient[edriv1.GetBucketRequest, edriv1.Bucket](h, url+edriv1connect.KeysGetBucketProcedure, options),
		listBuckets: connect.NewClient[edriv1.ListBucketsRequest, edriv1.ListBucketsResponse](h, url+edriv1connect.KeysListBucketsProcedure, options),
	}
}

// shunTime is how long a leader that could not be reached is not tried on
// another server's word: until the others notice, they still name it.
const shunTime = 1 * time.Second

// servers knows the configured nodes, the members that these told of, and who was
// named as leader.
type servers struct {
	http       *http.Client
	configured []string

	mu    sync.Mutex
	known map[string]*server
	// urls are all to ask: the configured, then the other members. Without these a
	// client would lose a cluster whose nodes are replaced one after the other.
	urls   []string
	next   int    // index in urls to ask next
	leader string // the last that was said to lead; "" when not known
	failed map[string]time.Time
}

func newServers(h *http.Client, configured []string) *servers {
	return &servers{
		http:       h,
		configured: configured,
		urls:       configured,
		known:      make(map[string]*server),
		failed:     make(map[string]time.Time),
	}
}

// atLocked returns the server of a URL.
func (s *servers) atLocked(url string) *server {
	n, ok := s.known[url]
	if !ok {
		n = newServer(s.http, url)
		s.known[url] = n
	}
	return n
}

// learn takes over where the members can be asked.
func (s *servers) learn(members []*edriv1.Member) {
	urls := slices.Clip(s.configured)
	for _, m := range members {
		if url, err := normaliseServer(m.ApiUrl); err == nil && !slices.Contains(urls, url) {
			urls = append(urls, url)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.nextLocked()
	s.urls = urls
	s.next = max(0, slices.Index(urls, asked))
}

func (s *servers) nextLocked() string { return s.urls[s.next%len(s.urls)] }

// any returns the server to read from: the first configured until it fails.
func (s *servers) any() *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atLocked(s.nextLocked())
}

// towardsLeader returns the server to ask who leads: the leader as last known,
// else the next of all.
func (s *servers) towardsLeader() *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader != "" {
		return s.atLocked(s.leader)
	}
	return s.atLocked(s.nextLocked())
}

// named records who is said to lead and returns its server; nil where url is
// empty or did not answer a moment ago.
func (s *servers) named(url string) *server {
	if url == "" {
		return nil
	}
	base, err := normaliseServer(url)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.failed[base]; ok && time.Since(at) < shunTime {
		return nil
	}
	s.leader = base
	return s.atLocked(base)
}

// failedAt records that a server did not answer, so that others are asked.
func (s *servers) failedAt(n *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[n.url] = time.Now()
	s.passLocked(n)
	// Nodes come and go; what is no member and not recent is forgotten.
	for url, at := range s.failed {
		if time.Since(at) > shunTime {
			delete(s.failed, url)
			if !slices.Contains(s.urls, url) && url != s.leader {
				delete(s.known, url)
			}
		}
	}
}

// passOver makes others be asked next. Where they name n as the leader, it is:
// a leader that has just been elected says for a moment that it cannot serve.
func (s *servers) passOver(n *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passLocked(n)
}

func (s *servers) passLocked(n *server) {
	if s.leader == n.url {
		s.leader = ""
	}
	if s.nextLocked() == n.url {
		s.next = (s.next + 1) % len(s.urls)
	}
}
