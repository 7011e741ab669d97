package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

type collectionList struct {
	Collections []collectionSummary `json:"collections"`
}

type collectionSummary struct {
	Name        string `json:"name"`
	PointsCount int    `json:"points_count"`
}

// collectionInfo is one collection in full. Detector is null until one is fitted.
type collectionInfo struct {
	collectionSummary
	Status   string            `json:"status"` // "green": Qdrant's word for all is well
	Default  bool              `json:"default"`
	Config   index.Config      `json:"config"`
	Detector *detectorInfo     `json:"detector"`
	Patches  *patchesInfo      `json:"patches,omitempty"`
	Recall   index.RecallStats `json:"recall"`
}

type detectorInfo struct {
	Classes     []string           `json:"classes"`
	Clusters    int                `json:"clusters"`    // of all classes
	Calibration int                `json:"calibration"` // held-out points
	MinAlpha    float64            `json:"min_alpha"`   // least alpha that they support
	Anomalies   int                `json:"anomalies"`   // points that feedback called true anomalies
	Score       string             `json:"score"`       // how strangeness is measured
	ScoreAUROC  map[string]float64 `json:"score_auroc"` // of each way, left-out classes against the others; empty where too few are known
	Stale       bool               `json:"stale"`       // it does not know the last writes yet
	Watch       index.WatchStats   `json:"watch"`
}

// newDetectorInfo describes the detector of a collection; nil where there is none.
func newDetectorInfo(col *index.Collection) *detectorInfo {
	stale := col.Stale() // before the detector is looked at: it may follow meanwhile
	d := col.Detector()
	if d == nil {
		return nil
	}
	return &detectorInfo{d.Classes(), d.Clusters(), d.Calibration(), d.MinAlpha(), col.Aside(index.RoleAnomaly), d.Score().String(), d.Chosen(), stale, col.Watched()}
}

// collections lists what the store holds.
func (s *Server) collections(context.Context, *fiber.Ctx) (any, error) {
	out := collectionList{Collections: []collectionSummary{}}
	for _, name := range s.opt.Store.Names() {
		col, err := s.opt.Store.Collection(name)
		if errors.Is(err, index.ErrNotFound) { // dropped since
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Collections = append(out.Collections, collectionSummary{name, col.Len()})
	}
	return out, nil
}

func (s *Server) collectionInfo(_ context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	out := collectionInfo{
		collectionSummary: collectionSummary{col.Name(), col.Len()},
		Status:            "green", Default: col.Name() == s.opt.Default, Config: col.Config(), Recall: col.Recall(),
	}
	out.Detector, out.Patches = newDetectorInfo(col), s.patchesInfo(col)
	return out, nil
}

// healthInfo says what is being served.
type healthInfo struct {
	Collections int    `json:"collections"`
	ModelID     string `json:"model_id"`  // "" without an encoder
	Dimension   int    `json:"dimension"` // of the encoder, 0 without
	// Drift names the collections that are asked about things unlike what they were calibrated with.
	Drift []string `json:"drift_alarms"`
}

func (s *Server) health(context.Context, *fiber.Ctx) (any, error) {
	names := s.opt.Store.Names()
	out := healthInfo{Collections: len(names), Drift: []string{}}
	for _, name := range names {
		if col, err := s.opt.Store.Collection(name); err == nil && col.Watched().Drift.Alarm {
			out.Drift = append(out.Drift, name)
		}
	}
	if e := s.opt.Encoder; e != nil {
		out.ModelID, out.Dimension = e.ModelID(), e.Dimension()
	}
	return out, nil
}

// live: the process answers.
func (s *Server) live(context.Context, *fiber.Ctx) (any, error) { return true, nil }

// ready: a search would find its collection.
func (s *Server) ready(ctx context.Context, _ *fiber.Ctx) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.opt.Default == "" {
		return true, nil
	}
	if _, err := s.opt.Store.Collection(s.opt.Default); err != nil {
		return nil, fmt.Errorf("%w: default collection: %w", errNotReady, err)
	}
	return true, nil
}
