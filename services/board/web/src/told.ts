// Written by `python -m tapeline_board.api.typescript` from the schemas of the board. Do not edit.
// Times are ms UTC. A number that nobody knows is null, never zero.

export type MarketType = "spot" | "linear";

export type Side = "Buy" | "Sell";

export type PredictionState = "ok" | "warming_up" | "late" | "model_unavailable" | "model_expired" | "invalid_features";

export type EventName = "status" | "symbols" | "tape" | "candle" | "market" | "model" | "completeness" | "alerts" | "failed";

export type BookState = "open" | "complete" | "gap" | "incomplete";

export interface Refusal {
  error: string;
  message: string;
}

export interface SymbolRow {
  market_type: "spot" | "linear";
  symbol: string;
  last_price: number | null;
  change_bp: number | null;
  trades: number;
  notional: number;
  buy_share: number | null;
  traded_at: number | null;
  probability: number | null;
  prediction: 0 | 1 | null;
  state: "ok" | "warming_up" | "late" | "model_unavailable" | "model_expired" | "invalid_features" | null;
}

export interface SymbolsAnswer {
  from_at: number;
  to_at: number;
  symbols: SymbolRow[];
  is_cut: boolean;
}

export interface CandleRow {
  at: number;
  open: number;
  high: number;
  low: number;
  close: number;
  vwap: number;
  volume: number;
  notional: number;
  buy_volume: number;
  buy_share: number | null;
  trades: number;
  late_trades: number;
  missed_trades: number;
  is_quiet: boolean;
  is_closed: boolean;
  sma_20: number | null;
  ema_12: number | null;
  ema_26: number | null;
  rsi_14: number | null;
  macd: number | null;
  macd_signal: number | null;
  macd_histogram: number | null;
  bollinger_upper: number | null;
  bollinger_middle: number | null;
  bollinger_lower: number | null;
  updated_at: number;
}

export interface WindowFigures {
  window: "1m" | "5m" | "15m" | "1h";
  return_bp: number | null;
  volatility_bp: number | null;
  volume: number | null;
  trades_per_s: number | null;
  imbalance: number | null;
}

export interface CandlesAnswer {
  market_type: "spot" | "linear";
  symbol: string;
  candles: CandleRow[];
  windows: WindowFigures[];
  is_cut: boolean;
  is_whole: boolean;
}

export interface Marker {
  at: number;
  predictions: number;
  ups: number;
  mean_probability: number | null;
  scored: number;
  hits: number;
}

export interface MarkersAnswer {
  market_type: "spot" | "linear";
  symbol: string;
  markers: Marker[];
  is_cut: boolean;
}

export interface MarketSeries {
  market_type: "spot" | "linear";
  symbol: string;
  at: number[];
  trades: number[];
  price: number[];
  buy_trades: number[];
  sell_trades: number[];
  buy_price: (number | null)[];
  sell_price: (number | null)[];
  buy_quantity: number[];
  sell_quantity: number[];
  up_trades: number[];
  down_trades: number[];
  up_price: (number | null)[];
  down_price: (number | null)[];
  up_quantity: number[];
  down_quantity: number[];
}

export interface MarketTotal {
  market_type: "spot" | "linear";
  symbol: string;
  trades: number;
  buy_trades: number;
  sell_trades: number;
  buy_quantity: number;
  sell_quantity: number;
  up_trades: number;
  down_trades: number;
  up_quantity_mean: number | null;
  down_quantity_mean: number | null;
  other_quantity_mean: number | null;
}

export interface MarketAnswer {
  from_at: number;
  to_at: number;
  interval_ms: number;
  trades: number;
  buy_trades: number;
  sell_trades: number;
  series: MarketSeries[];
  totals: MarketTotal[];
  is_cut: boolean;
  is_whole: boolean;
}

export interface TapeTrade {
  market_type: "spot" | "linear";
  symbol: string;
  trade_id: string;
  traded_at: number;
  indexed_at: number;
  price: string;
  quantity: string;
  side: "Buy" | "Sell";
  source: "stream" | "backfill";
  probability: number | null;
  prediction: 0 | 1 | null;
  state: "ok" | "warming_up" | "late" | "model_unavailable" | "model_expired" | "invalid_features";
  model_digest: string | null;
}

export interface TapeAnswer {
  trades: TapeTrade[];
  is_cut: boolean;
  is_whole: boolean;
}

export interface StatusAnswer {
  at: number;
  elasticsearch: "ok" | "away";
  reason: string | null;
  since_at: number;
}

export interface FailedAnswer {
  event: "status" | "symbols" | "tape" | "candle" | "market" | "model" | "completeness" | "alerts" | "failed";
  error: string;
  message: string;
}

export interface ServedModel {
  model_digest: string;
  kind: string;
  created_at: number;
  expires_at: number;
  is_expired: boolean;
  feature_version: string;
  label_version: string;
  threshold: number;
}

export interface CalibrationBin {
  from_probability: number;
  to_probability: number;
  predictions: number;
  mean_probability: number | null;
  up_share: number | null;
}

export interface Score {
  model_digest: string;
  market_type: "spot" | "linear" | null;
  symbol: string | null;
  predictions: number;
  pending: number;
  hit_rate: number | null;
  rule_hit_rate: number | null;
  base_rate: number | null;
  brier: number | null;
  prior_brier: number | null;
  skill: number | null;
}

export interface ModelScores {
  total: Score;
  symbols: Score[];
  bins: CalibrationBin[];
}

export interface Verdict {
  run_id: string;
  judged_at: number;
  digest: string | null;
  parent_digest: string | null;
  promoted: boolean;
  promoted_kind: string | null;
  rollout: string | null;
  reasons: string[];
  rows_train: number | null;
  rows_test: number | null;
  auc: number | null;
  mcc: number | null;
  brier: number | null;
  base_rate: number | null;
  brier_skill_vs_prior: number | null;
  brier_skill_vs_rule: number | null;
}

export interface ModelAnswer {
  from_at: number;
  to_at: number;
  served: ServedModel | null;
  served_reason: string | null;
  states: Partial<Record<"ok" | "warming_up" | "late" | "model_unavailable" | "model_expired" | "invalid_features", number>>;
  scores: ModelScores[];
  verdicts: Verdict[];
}

export interface BookSums {
  state: "open" | "complete" | "gap" | "incomplete";
  received: number;
  produced: number;
  logged: number;
  distinct: number;
  indexed: number;
  rejected: number;
  gaps: number;
}

export interface BookMinute {
  state: "open" | "complete" | "gap" | "incomplete";
  received: number;
  produced: number;
  logged: number;
  distinct: number;
  indexed: number;
  rejected: number;
  gaps: number;
  at: number;
  symbols: number;
}

export interface BookSymbol {
  state: "open" | "complete" | "gap" | "incomplete";
  received: number;
  produced: number;
  logged: number;
  distinct: number;
  indexed: number;
  rejected: number;
  gaps: number;
  market_type: "spot" | "linear";
  symbol: string;
  minutes: number;
  not_complete: number;
}

export interface CompletenessAnswer {
  from_at: number;
  to_at: number;
  is_balanced: boolean;
  reasons: ("nothing" | "stale" | "overdue" | "incomplete" | "gap" | "rejects")[];
  rejects: number;
  minutes: BookMinute[];
  symbols: BookSymbol[];
  is_cut: boolean;
}

export interface GapRow {
  market_type: "spot" | "linear";
  symbol: string;
  reason: "reconnect" | "restart" | "overflow" | "stall";
  detected_at: number;
  from_traded_at: number;
  to_traded_at: number;
  backfilled: number;
}

export interface GapsAnswer {
  gaps: GapRow[];
  is_cut: boolean;
}

export interface AlertRow {
  alert_id: string;
  rule: string;
  kind: "price_move" | "volume_burst" | "silent_symbol" | "feed_gap" | "model_below_prior" | "model_expired";
  severity: "info" | "warning" | "critical";
  market_type: "spot" | "linear" | null;
  symbol: string | null;
  model_digest: string | null;
  value: number | null;
  threshold: number | null;
  unit: string | null;
  message: string;
  began_at: number;
  raised_at: number;
}

export interface AlertsAnswer {
  alerts: AlertRow[];
  is_cut: boolean;
}
