package api

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// Frames of the procedures.
type (
	commitFrame       = wire.Frame[edriv1.Commit]
	commitResultFrame = wire.Frame[edriv1.CommitResult]
	commitsFrame      = wire.Frame[edriv1.CommitFrame]
	resultsFrame      = wire.Frame[edriv1.CommitResultFrame]
	readFrame         = wire.Frame[edriv1.ReadRequest]
	responseFrame     = wire.Frame[edriv1.ReadResponse]
	getFrame          = wire.Frame[edriv1.GetRequest]
	recordedFrame     = wire.Frame[edriv1.RecordedEvent]
	listFrame         = wire.Frame[edriv1.ListStreamsRequest]
	statusFrame       = wire.Frame[edriv1.StatusRequest]
	removeFrame       = wire.Frame[edriv1.RemoveMemberRequest]
	replaceFrame      = wire.Frame[edriv1.ReplaceMemberRequest]
	backupFrame       = wire.Frame[edriv1.BackupRequest]
	getRetentionFrame = wire.Frame[edriv1.GetRetentionRequest]
	setRetentionFrame = wire.Frame[edriv1.SetRetentionRequest]
	purgeStreamFrame  = wire.Frame[edriv1.PurgeStreamRequest]
)

// service is the handlers' common state; it has none of its own.
type service struct {
	cfg      Config
	failures failures
	metrics  *metrics
	progress time.Duration // progressInterval, but in tests
}

// Handler returns the handler of a node's whole HTTP interface.
func Handler(cfg Config) (http.Handler, error) {
	s, err := newService(cfg)
	if err != nil {
		return nil, err
	}
	return s.handler(), nil
}

func newService(cfg Config) (*service, error) {
	cfg, err := cfg.normalised()
	if err != nil {
		return nil, err
	}
	s := &service{
		cfg:      cfg,
		failures: failures{logger: cfg.Logger, corrupt: cfg.Corrupt},
		progress: progressInterval,
	}
	s.metrics, err = newMetrics(cfg.Registerer)
	return s, err
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	s.mountProcedures(mux)
	s.mountCloudEvents(mux)
	s.mountHealth(mux)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	return s.bounded(mux)
}

func (s *service) mountProcedures(mux *http.ServeMux) {
	options := connect.WithHandlerOptions(
		connect.WithCodec(wire.Binary{}),
		connect.WithCodec(wire.JSON{}),
		connect.WithCodec(wire.JSON{Charset: true}),
		connect.WithReadMaxBytes(s.maxMessage()),
		connect.WithCompressMinBytes(1024),
		connect.WithInterceptors(&interceptor{s}),
	)
	unary(mux, edriv1connect.EventsCommitProcedure, s.commit, options)
	unary(mux, edriv1connect.EventsGetProcedure, s.get, options)
	unary(mux, edriv1connect.EventsListStreamsProcedure, s.listStreams, options)
	unary(mux, edriv1connect.ClusterStatusProcedure, s.status, options)
	unary(mux, edriv1connect.ClusterRemoveMemberProcedure, s.removeMember, options)
	unary(mux, edriv1connect.ClusterReplaceMemberProcedure, s.replaceMember, options)
	unary(mux, edriv1connect.ClusterGetRetentionProcedure, s.getRetention, options)
	unary(mux, edriv1connect.ClusterSetRetentionProcedure, s.setRetention, options)
	unary(mux, edriv1connect.ClusterPurgeStreamProcedure, s.purgeStream, options)
	mux.Handle(edriv1connect.EventsCommitStreamProcedure,
		connect.NewBidiStreamHandler(edriv1connect.EventsCommitStreamProcedure, s.commitStream, options))
	mux.Handle(edriv1connect.EventsReadProcedure,
		connect.NewServerStreamHandler(edriv1connect.EventsReadProcedure, s.read, options))
	mux.Handle(edriv1connect.EventsTailProcedure,
		connect.NewServerStreamHandler(edriv1connect.EventsTailProcedure, s.tail, options))
	if s.cfg.Router != nil {
		s.mountRouter(mux, options)
	}
	if s.cfg.Keys {
		s.mountKeys(mux, options)
	}
	if s.cfg.Schedules != nil {
		s.mountSchedules(mux, options)
	}
	if s.cfg.Workflows != nil {
		s.mountWorkflows(mux, options)
	}
	mux.Handle(edriv1connect.AdminBackupProcedure,
		connect.NewServerStreamHandler(edriv1connect.AdminBackupProcedure, s.backup, options))
}

func (s *service) mountRouter(mux *http.ServeMux, options connect.HandlerOption) {
	unary(mux, edriv1connect.SubscriptionsCreateProcedure, s.createSubscription, options)
	unary(mux, edriv1connect.SubscriptionsUpdateProcedure, s.updateSubscription, options)
	unary(mux, edriv1connect.SubscriptionsDeleteProcedure, s.deleteSubscription, options)
	unary(mux, edriv1connect.SubscriptionsPauseProcedure, s.pauseSubscription, options)
	unary(mux, edriv1connect.SubscriptionsSeekProcedure, s.seekSubscription, options)
	// Of members and what they have only the leader knows.
	mux.Handle(edriv1connect.SubscriptionsGetProcedure, s.atLeader(
		unaryHandler(edriv1connect.SubscriptionsGetProcedure, s.getSubscription, options)))
	mux.Handle(edriv1connect.SubscriptionsListProcedure, s.atLeader(
		unaryHandler(edriv1connect.SubscriptionsListProcedure, s.listSubscriptions, options)))
	unary(mux, edriv1connect.SubscriptionsListDeadProcedure, s.listDead, options)
	unary(mux, edriv1connect.SubscriptionsRedriveProcedure, s.redrive, options)
	mux.Handle(edriv1connect.SubscriptionsDeliverProcedure, s.atLeader(
		connect.NewBidiStreamHandler(edriv1connect.SubscriptionsDeliverProcedure, s.deliver, options)))
	unary(mux, edriv1connect.RequestsSendProcedure, s.sendRequest, options)
	unary(mux, edriv1connect.RequestsCallProcedure, s.call, options)
	unary(mux, edriv1connect.RequestsAttachProcedure, s.attach, options)
}

func (s *service) mountSchedules(mux *http.ServeMux, options connect.HandlerOption) {
	unary(mux, edriv1connect.SchedulesCreateProcedure, s.createSchedule, options)
	unary(mux, edriv1connect.SchedulesUpdateProcedure, s.updateSchedule, options)
	unary(mux, edriv1connect.SchedulesDeleteProcedure, s.deleteSchedule, options)
	unary(mux, edriv1connect.SchedulesPauseProcedure, s.pauseSchedule, options)
	unary(mux, edriv1connect.SchedulesTriggerProcedure, s.triggerSchedule, options)
	unary(mux, edriv1connect.SchedulesBackfillProcedure, s.backfillSchedule, options)
	unary(mux, edriv1connect.SchedulesGetProcedure, s.getSchedule, options)
	unary(mux, edriv1connect.SchedulesListProcedure, s.listSchedules, options)
	unary(mux, edriv1connect.SchedulesPreviewProcedure, s.previewSchedule, options)
	unary(mux, edriv1connect.SchedulesAppendLaterProcedure, s.appendLater, options)
	unary(mux, edriv1connect.SchedulesCancelLaterProcedure, s.cancelLater, options)
}

// unary mounts a procedure of one request and one response.
func unary[Req, Res any](mux *http.ServeMux, procedure string,
	handle func(context.Context, *Req) (*Res, error), options connect.HandlerOption) {
	mux.Handle(procedure, unaryHandler(procedure, handle, options))
}

func unaryHandler[Req, Res any](procedure string,
	handle func(context.Context, *Req) (*Res, error), options connect.HandlerOption) http.Handler {
	return connect.NewUnaryHandler(procedure,
		func(ctx context.Context, r *connect.Request[Req]) (*connect.Response[Res], error) {
			response, err := handle(ctx, r.Msg)
			if err != nil {
				return nil, err
			}
			return connect.NewResponse(response), nil
		}, options)
}

// maxMessage is the size of the largest message that is read: a commit in JSON
// is longer than the commit, by a third for binary data.
func (s *service) maxMessage() int { return 2*s.cfg.Limits.Commit + 64<<10 }

// bounded refuses a request that says beforehand that it is too large, so that
// the error has both numbers, and gives handlers of streams a way to stop to
// read.
func (s *service) bounded(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	limit := int64(s.maxMessage())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength <= limit {
			next.ServeHTTP(w, r.WithContext(withResponse(r.Context(), w)))
			return
		}
		e := event.TooLarge("request in bytes", r.ContentLength, limit)
		if !writer.IsSupported(r) {
			writeProblem(w, e)
			return
		}
		_ = writer.Write(w, r, rpcError(e)) // the caller is gone otherwise
	})
}

// responseKey finds the request's http.ResponseWriter in a context, which
// connect keeps to itself.
type responseKey struct{}

func withResponse(ctx context.Context, w http.ResponseWriter) context.Context {
	return context.WithValue(ctx, responseKey{}, w)
}

// stopReading makes the read of the request's body that is under way, and those
// that follow, fail at once.
func stopReading(ctx context.Context) {
	if w, ok := ctx.Value(responseKey{}).(http.ResponseWriter); ok {
		// Without support the handler's end does it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	}
}

// invalid is the error of a request that cannot be decoded.
func invalid(err error) error {
	return event.Errorf(event.CodeInvalid, "%v", err)
}
