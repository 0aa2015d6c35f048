"""Rows: the activations and gates of torch.nn.functional."""

from fngen.functions.row import Function as F

# A nan passes, as in torch.
_STEP = ("where(x <= 0, 0, 1)",)

ROWS = (
    # sigmoid(-x) is 1 - sigmoid(x) without its cancellation for large x.
    F("sigmoid", derivative=("sigmoid(x)*sigmoid(-x)",), torch="torch.sigmoid", definition="1/(1 + exp(-x))",
      aliases=("expit",), latex=r"\sigma", complement=("sigmoid(-x)", "1 - y")),
    F("logsigmoid", derivative=("sigmoid(-x)",), torch="nn.functional.logsigmoid", definition="-log1p(exp(-x))",
      aliases=("log_sigmoid",), latex=r"\log \sigma"),
    F("logit", derivative=("where(0 <= x and x <= 1, 1, nan)/(x*(1 - x))",), torch="torch.logit",
      definition="log(x/(1 - x))", domain="0 < x < 1"),
    F("softplus", derivative=("sigmoid(x)",), torch="nn.functional.softplus", definition="log1p(exp(x))"),
    F("softsign", derivative=("1/(1 + abs(x))**2",), torch="nn.functional.softsign", definition="x/(1 + abs(x))", parity=-1),
    F("silu", derivative=("sigmoid(x)*(1 + x*sigmoid(-x))",), torch="nn.functional.silu", definition="x*sigmoid(x)",
      aliases=("swish",), vjp="silu_backward({g}, {x})"),
    F("mish", derivative=("tanh(softplus(x)) + x*sigmoid(x)*sech(softplus(x))**2",), torch="nn.functional.mish",
      definition="x*tanh(softplus(x))"),
    F("gelu", derivative=("ndtr(x) + x*exp(-x**2/2)/sqrt(2*pi)",), definition="x*ndtr(x)"),
    F("gelu_tanh", definition="x*sigmoid(2*sqrt(2/pi)*(x + 0.044715*x**3))", note="torch's gelu with approximate='tanh'"),
    F("tanhshrink", derivative=("tanh(x)**2",), torch="nn.functional.tanhshrink", definition="x - tanh(x)", parity=-1),
    F("entr", derivative=("-log(x) - 1",), torch="torch.special.entr", definition="where(x == 0, 0, -x*log(x))", domain="x >= 0"),
    # exp(Min(x, 0)): a large x must not overflow in the branch that is not taken.
    F("elu", "x, alpha=1", ("where(x <= 0, alpha*exp(Min(x, 0)), 1)", "where(x > 0, 0, expm1(Min(x, 0)))"),
      definition="where(x > 0, x, alpha*expm1(Min(x, 0)))", torch="nn.functional.elu", numbers=frozenset({"alpha"}),
      vjp="elu_backward({g}, {alpha}, 1, 1, False, {x})"),
    F("celu", "x, alpha=1",
      ("where(x <= 0, exp(Min(x, 0)/alpha), 1)", "where(x > 0, 0, expm1(Min(x, 0)/alpha) - Min(x, 0)/alpha*exp(Min(x, 0)/alpha))"),
      definition="where(x > 0, x, alpha*expm1(Min(x, 0)/alpha))"),
    F("selu", derivative=("1.0507009873554804934193349852946*where(x <= 0, 1.6732632423543772848170429916717*exp(Min(x, 0)), 1)",),
      torch="nn.functional.selu",
      definition="1.0507009873554804934193349852946*where(x > 0, x, 1.6732632423543772848170429916717*expm1(Min(x, 0)))",
      vjp="elu_backward({g}, 1.6732632423543772, 1.0507009873554805, 1, False, {x})"),
    F("relu", derivative=_STEP, torch="torch.relu", definition="where(x > 0, x, 0)", vjp="threshold_backward({g}, {x}, 0)"),
    F("relu6", derivative=("where(x <= 0 or x >= 6, 0, 1)",), torch="nn.functional.relu6", definition="Min(Max(x, 0), 6)",
      vjp="hardtanh_backward({g}, {x}, 0, 6)"),
    F("leaky_relu", "x, negative_slope=0.01", ("where(x > 0, 1, negative_slope)", "where(x > 0, 0, x)"),
      definition="where(x > 0, x, negative_slope*x)", torch="nn.functional.leaky_relu", numbers=frozenset({"negative_slope"}),
      vjp="leaky_relu_backward({g}, {x}, {negative_slope}, False)"),
    F("hardtanh", "x, min_val=-1, max_val=1",
      ("where(x <= min_val or x >= max_val, 0, 1)", "where(x <= min_val and min_val < max_val, 1, 0)", "where(x >= max_val or min_val > max_val, 1, 0)"),
      definition="clamp(x, min_val, max_val)", vjp="hardtanh_backward({g}, {x}, {min_val}, {max_val})"),
    F("hardsigmoid", derivative=("where(-3 < x and x < 3, 1/6, 0)",), torch="nn.functional.hardsigmoid",
      definition="clamp(x/6 + 1/2, 0, 1)"),
    F("hardswish", derivative=("where(x <= -3, 0, where(x < 3, x/3 + 1/2, 1))",), torch="nn.functional.hardswish",
      definition="x*hardsigmoid(x)", vjp="hardswish_backward({g}, {x})"),
)
