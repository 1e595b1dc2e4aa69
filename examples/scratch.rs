use bilevel::*;
use bilevel_problems::imaging::*;
use std::time::Instant;
fn npy(p:&str)->(Vec<u64>,Vec<f64>){ let b=std::fs::read(p).unwrap(); let n=npyz::NpyFile::new(&b[..]).unwrap(); let s=n.shape().to_vec(); (s,n.into_vec().unwrap()) }
fn main(){
  let (_,c)=npy("tests/data/camera64_clean.npy"); let (_,y)=npy("tests/data/camera64_noisy.npy");
  let c=Image::new(64,64,c).unwrap(); let y=Image::new(64,64,y).unwrap();
  for (norm,th,v,z) in [(Norm::Anisotropic,[-3.0,-4.0],4.583941984915299,[-2.5471423818848966,0.4696618716687132]),(Norm::Isotropic,[-2.,-6.],5.37651451783059,[4.247766160729058,-0.08061819078880875])]{
   for trust in [Trust::Certified,Trust::Estimated]{
   let o=tv_denoising(&[c.clone()],&[y.clone()],norm,Weights::Global,trust).unwrap();
   for e in [1.0,1e-1,1e-2,1e-3,1e-9]{
    let th=th.to_vec(); let mut s=o.start(&th).unwrap();
    let h=o.hypergradient(&th,Accuracy{epsilon:e,delta:e},&mut s).unwrap();
    let err=((h.gradient[0]-z[0]).powi(2)+(h.gradient[1]-z[1]).powi(2)).sqrt();
    println!("{norm:?} {trust} {e:e}: value err {:.2e} <= {:.2e}  goal err {:.2e}; z err {:.2e} <= {:.2e} {:?} {:?} it {}",h.value.value-v,h.value.error(),h.goal_oriented-v,err,h.error_bound,h.status(),h.attained,h.work.iterations());
   }}
  }
  for norm in [Norm::Anisotropic,Norm::Isotropic]{ for w in [Weights::Global,Weights::PerPixel]{
    let small=Image::new(5,7,y.pixels()[..35].to_vec()).unwrap();
    let p=TvDenoising::new(&small,norm).unwrap().with_weights(w);
    let th:Vec<f64>=(0..p.theta_len()).map(|i| -2.0+0.3*(i as f64).sin()).collect();
    let x:Vec<f64>=small.pixels().iter().enumerate().map(|(i,v)|v+0.1*(i as f64).cos()).collect();
    println!("{norm:?} {w:?}\n{}",check_lower(&p,&x,&th));
  }}
  let d="../shared/data/tv_kodak96";
  let (s,c)=npy(&format!("{d}/clean.npy")); let (_,y)=npy(&format!("{d}/noisy.npy")); println!("{s:?}");
  let split=|v:&Vec<f64>| v.chunks(9216).map(|c|Image::new(96,96,c.to_vec()).unwrap()).collect::<Vec<_>>();
  for trust in [Trust::Certified,Trust::Estimated]{
  for norm in [Norm::Anisotropic,Norm::Isotropic]{
  let o=tv_denoising(&split(&c),&split(&y),norm,Weights::Global,trust).unwrap();
  let t=Instant::now();
  let r=Run::new(&o,Maid::default()).max_iterations(40).tolerance(1e-3).observe(run::Table::new(std::io::stdout())).start(vec![-5.,-5.]).unwrap();
  println!("{:?}\n{r}",t.elapsed());
  }}
}
